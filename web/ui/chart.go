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

// total is the number at the head: the sum or, of levels, the last.
func (v ChartView) total() (sum int64) {
	for _, p := range v.Points {
		switch {
		case !v.Level:
			sum += p.Value
		case !p.Missing:
			sum = p.Value
		}
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

// stretches are the runs of points without a missing one, as indexes.
func (v ChartView) stretches() (all [][]int) {
	open := false
	for i, p := range v.Points {
		if !p.Missing && !open {
			all = append(all, nil)
		}
		if open = !p.Missing; open {
			all[len(all)-1] = append(all[len(all)-1], i)
		}
	}
	return all
}

func (v ChartView) x(i int) float64 {
	return chartWidth * float64(i) / float64(max(1, len(v.Points)-1))
}

// through is the path through some points; a single one is a short dash.
func (v ChartView) through(points []int) string {
	var b strings.Builder
	for n, i := range points {
		b.WriteString(map[bool]string{true: "M", false: " "}[n == 0])
		b.WriteString(coordinate(v.x(i)) + " " + coordinate(v.y(v.Points[i].Value)))
	}
	if len(points) == 1 {
		b.WriteString("h2")
	}
	return b.String()
}

// line is the path through all points; it breaks where one is missing.
func (v ChartView) line() string {
	var b strings.Builder
	for _, points := range v.stretches() {
		b.WriteString(v.through(points))
	}
	return b.String()
}

// area is what lies below the line.
func (v ChartView) area() string {
	var b strings.Builder
	bottom := coordinate(v.height())
	for _, points := range v.stretches() {
		if len(points) > 1 {
			b.WriteString(v.through(points) + " " + coordinate(v.x(points[len(points)-1])) + " " + bottom + " " + coordinate(v.x(points[0])) + " " + bottom + "z")
		}
	}
	return b.String()
}

// bar is a rectangle of a chart.
type bar struct{ x, y, width, height, title string }

func (v ChartView) bars(ctx context.Context) []bar {
	room := chartWidth / float64(max(1, len(v.Points)))
	var all []bar
	for i, p := range v.Points {
		if p.Missing {
			continue
		}
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
