package ui

import "context"

// settingNow is what somebody else has chosen.
func settingNow(ctx context.Context, value string) string {
	switch value {
	case "":
		return t(ctx, "config.now.none")
	case "true":
		return t(ctx, "config.now.on")
	case "false":
		return t(ctx, "config.now.off")
	}
	return value
}
