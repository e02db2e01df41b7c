package core

// Nearest returns the known word that is most like word, "" when none is so
// near that it could have been meant.
func Nearest(word string, known []string) string {
	best, limit := "", len(word)/2+1
	for _, candidate := range known {
		if d := distance(word, candidate); d < limit {
			best, limit = candidate, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two texts in bytes. Words longer
// than any key are cut first, so that its cost stays small.
func distance(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
