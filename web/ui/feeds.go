package ui

import "context"

// feedAbout says what a feed is for.
func feedAbout(ctx context.Context, f FeedRow) string {
	if f.Enrichment {
		return t(ctx, "feeds.about.enrichment")
	}
	return t(ctx, "feeds.about")
}

// feedCell is the class of a state's cell: an error needs the whole row of a card.
func feedCell(failed bool) string {
	if failed {
		return "wide"
	}
	return "third"
}
