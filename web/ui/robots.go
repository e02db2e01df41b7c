package ui

import "context"

func renewDialog(ctx context.Context, r RobotRow) Confirm {
	return Confirm{ID: "renew", Title: t(ctx, "robots.renew.title", r.Name), Text: t(ctx, "robots.renew.text"), Action: r.Href + "/secret",
		Verb: t(ctx, "robots.renew"), Safe: true}
}

// robotsEmpty says what a robot account is for.
func robotsEmpty(ctx context.Context, system bool) string {
	if system {
		return t(ctx, "systemrobots.empty")
	}
	return t(ctx, "robots.empty.text")
}
