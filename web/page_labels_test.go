package web_test

import (
	"net/http"
	"net/url"
	"testing"
)

// Two administrators edit a label at once: the second one is told, and can
// still save what was typed.
func TestLabelChangedMeanwhile(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	b.get(t, "/admin/labels").want(200, "No labels yet")
	b.get(t, "/admin/labels/new").submit("Create label", url.Values{"Name": {" "}}).want(422, "1 field needs a change")
	b.get(t, "/admin/labels/new").submit("Create label", url.Values{"Name": {"released"}, "Sea": {"#0E7C9F"}}).want(200, "The label released was created")
	b.get(t, "/admin/labels/new").submit("Create label", url.Values{"Name": {"released"}}).want(422, "There is a label with this name already")
	form := b.get(t, "/admin/labels").click("Edit released")
	if c := form.successful(form.role("button", "Save changes").Parent.Parent).Get("color"); c != "#0E7C9F" {
		t.Errorf("the colour of the form is %q", c)
	}
	s.do(t, http.MethodPut, "/api/v2.0/labels/1", "admin", map[string]string{"name": "shipped", "color": "#123456"}, 200)
	again := form.submit("Save changes", url.Values{"Name": {"delivered"}}).want(409, "Someone else changed this meanwhile", "shipped")
	again.submit("Save changes", nil).want(200, "The label delivered was saved")
	if c := attr(b.get(t, "/admin/labels/1").field("Name"), "value"); c != "delivered" {
		t.Errorf("the label is %q", c)
	}
}
