package ui

import (
	"context"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// The plot of a chart in its own units; it is stretched to the page's width.
const (
	chartWidth      = 720.0
	chartTall       = 136.0
	chartShort      = 56.0
	chartBarWidth   = 0.6 // of the room of a day
	chartMostLabels = 5
)

func (v ChartView) height() float64 {
	if v.Bars {
		return chartShort
	}
	return chartTall
}

func (v ChartView) total() (sum int64) {
	for _, p := range v.Points {
		sum += p.Value
	}
	return sum
}

// top is the upper end of the axis: the next of 2, 4, 10, 20, 40, 100 and so
// on, so that the middle is a whole number too.
func (v ChartView) top() int64 {
	var most int64
	for _, p := range v.Points {
		most = max(most, p.Value)
	}
	for unit := int64(1); ; unit *= 10 {
		for _, step := range []int64{2, 4, 6, 8, 10} {
			if step*unit >= most || unit > 1e15 {
				return step * unit
			}
		}
	}
}

func (v ChartView) y(value int64) float64 {
	return v.height() * (1 - float64(value)/float64(v.top()))
}

func coordinate(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

func (v ChartView) viewBox() string {
	return "0 0 " + coordinate(chartWidth) + " " + coordinate(v.height())
}

func (v ChartView) plotClass() string {
	if v.Bars {
		return "chart-plot chart-plot-s"
	}
	return "chart-plot"
}

// gridLines are the lines at the top, the middle (of tall charts) and zero.
func (v ChartView) gridLines() []string {
	heights := []float64{0, v.height() / 2, v.height()}
	if v.Bars {
		heights = []float64{0, v.height()}
	}
	var lines []string
	for _, h := range heights {
		lines = append(lines, "M0 "+coordinate(h)+"H"+coordinate(chartWidth))
	}
	return lines
}

// scale are the numbers at the grid lines.
func (v ChartView) scale(ctx context.Context) []string {
	numbers := []int64{v.top(), v.top() / 2, 0}
	if v.Bars {
		numbers = []int64{v.top(), 0}
	}
	var texts []string
	for _, number := range numbers {
		texts = append(texts, i18n.Short(ctx, number))
	}
	return texts
}

// line is the path through all points.
func (v ChartView) line() string {
	var b strings.Builder
	b.WriteString("M")
	last := max(1, len(v.Points)-1)
	for i, p := range v.Points {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(coordinate(chartWidth*float64(i)/float64(last)) + " " + coordinate(v.y(p.Value)))
	}
	return b.String()
}

// area is what lies below the line.
func (v ChartView) area() string {
	bottom := coordinate(v.height())
	return v.line() + " " + coordinate(chartWidth) + " " + bottom + " 0 " + bottom + "z"
}

// bar is a rectangle of a chart.
type bar struct{ x, y, width, height, title string }

func (v ChartView) bars(ctx context.Context) []bar {
	room := chartWidth / float64(max(1, len(v.Points)))
	var all []bar
	for i, p := range v.Points {
		top := v.y(p.Value)
		all = append(all, bar{coordinate(room * (float64(i) + (1-chartBarWidth)/2)), coordinate(top), coordinate(room * chartBarWidth),
			coordinate(v.height() - top), i18n.ShortDay(ctx, p.Day) + ": " + i18n.Number(ctx, p.Value)})
	}
	return all
}

// axisDays are the days below a chart, evenly apart.
func axisDays(ctx context.Context, points []Point) []string {
	var days []string
	last := len(points) - 1
	for i := range min(chartMostLabels, len(points)) {
		days = append(days, i18n.ShortDay(ctx, points[i*last/max(1, min(chartMostLabels, len(points))-1)].Day))
	}
	return days
}
