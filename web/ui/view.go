package ui

import (
	"crypto/rand"
	"time"

	"github.com/a-h/templ"
)

// Frame is what surrounds every page.
type Frame struct {
	Title    string // of the browser's tab, without the product's name
	Section  string // the entry of the navigation that is current
	Theme    string // "light", "dark" or "" for what the system says
	Path     string // of the page itself, with its query
	Host     string // the registry's address, as images are named
	Version  string
	User     string // the name of who is signed in; "" for nobody
	Nav      []NavGroup
	Search   bool // there is a page that searches
	Toast    *Toast
	Unseen   int64 // notifications, up to 100
	Banner   string
	ReadOnly bool
	HasCA    bool // there is a certificate to download
}

// NavGroup is a part of the navigation; the first has no title.
type NavGroup struct {
	Title string
	Links []NavLink
}

// NavLink is an entry of the navigation.
type NavLink struct {
	Section, Path, Icon, Label string
	Count                      string // beside the label; "" for none
}

// Toast is a short message about what was just done.
type Toast struct{ Kind, Text string }

// Link is a link with its text.
type Link struct {
	Href, Label string
	Current     bool
}

// Head is the head of a page. Badges stand beside the title.
type Head struct {
	Crumbs []Link
	Title  string
	Sub    string
	Badges templ.Component
}

// Tab is one of the parts of an object; Count is "" for none.
type Tab struct {
	Href, Label, Count string
	Current            bool
}

// Field is a line or, with Rows, several lines of text in a form. Its id is its
// name. Error marks it and says what to change.
type Field struct {
	Name, Label, Value, Hint, Error string
	Type                            string // "" is text
	Placeholder, Autocomplete       string
	Required, Optional, Mono        bool
	Focus                           bool // the cursor begins here
	MaxLength, Rows                 int
	Attrs                           templ.Attributes // such as inputmode, min and max
}

// Option is one of the values of a choice.
type Option struct{ Value, Label, Hint string }

// Choice is two to four options with a word of explanation each, or a select.
type Choice struct {
	Name, Label, Value, Hint, Error string
	Options                         []Option
	Hidden                          bool // the label is for screen readers only
	Submit                          bool // a change sends the form at once
}

// Check is a box to tick. Its value is "true".
type Check struct {
	Name, Label, Hint string
	Checked, Disabled bool
}

// Form is the state of a form that was sent and refused: a text by the name of
// the field, and Problem for what concerns no field.
type Form struct {
	Errors  map[string]string
	Labels  []FieldLabel // the fields in order, for the list of errors
	Problem string
	Once    string // makes a second click harmless; see NewForm
}

// FieldLabel names a field of a form.
type FieldLabel struct{ Name, Label string }

// NewForm is a form that nobody has sent yet.
func NewForm() Form { return Form{Errors: map[string]string{}, Once: rand.Text()} }

// Wrong marks a field.
func (f *Form) Wrong(name, label, text string) {
	f.Errors[name] = text
	f.Labels = append(f.Labels, FieldLabel{name, label})
}

// Failed says whether something of the form has to change.
func (f Form) Failed() bool { return f.Problem != "" || len(f.Errors) > 0 }

// CardView is the head of a card; without a Title there is none, and Label
// names the card.
type CardView struct {
	ID, Title, Label, Note string
	End                    templ.Component
}

// TileView is one number; Gauge is the share in use in percent, below 0 for none.
type TileView struct {
	Href, Icon, Label, Value, Unit, Note string
	Gauge                                int
}

// Item is a line of a list. Tone is "", "ok", "warn" or "danger".
type Item struct {
	Icon, Tone, Title, Href, Text, End string
}

// Fact is a name and a value.
type Fact struct {
	Label, Value string
	Mono         bool
	Href         string
}

// Column is the head of a table's column. Sorted is "ascending" or "descending"
// for the one that the table is sorted by.
type Column struct {
	Label, Class string
	Href, Sorted string
	Hidden       bool // the label is for screen readers only
}

// PagerView tells where in a list the page is; links are "" where there is none.
// Note stands in place of the numbers, where the list is not counted.
type PagerView struct {
	From, To, Total int64
	Note            string
	Previous, Next  string
}

// BesideView leads to the pages beside one of a list that is read by position.
type BesideView struct{ Previous, Next, Note string }

// Notice is a message that stays. Kind is "", "info", "ok", "warn" or "danger".
type Notice struct {
	Kind, Title, Text string
	Assertive         bool // read out at once, for errors of a form
}

// Confirm is a dialog that asks before something is done by a form. The button
// that opens it is ConfirmButton. Word, when there is one, has to be typed.
type Confirm struct {
	ID, Title, Text, Action, Verb string
	Hidden                        []Hidden
	Safe                          bool // nothing is lost: the button is not red
}

// Hidden is a value that a form carries along.
type Hidden struct{ Name, Value string }

// Point is one value of a chart.
type Point struct {
	Day     time.Time
	Value   int64
	Missing bool // nothing is known of the day
}

// ChartView is one series per day. Title says what it is and is also the head
// of the table; Unit stands behind the total.
type ChartView struct {
	ID, Title, Unit string
	Points          []Point
	Bars            bool // else a line
	Level           bool // a value is how things stood, so that days are not summed
}

// JobView is work under way. Total is 0 while it is not known.
type JobView struct {
	Title, Left, Right string
	Href               string // of its page; "" on that
	Done, Total        int64
}

// ErrorView is a page about what went wrong.
type ErrorView struct {
	Icon, Code, Title, Lead, Detail string
	Facts                           []Fact
	Back                            Link // the way on; the first button
	Again                           bool // offers to load the page again
	OtherAccount                    bool
	Quiet                           bool // nothing failed
}
