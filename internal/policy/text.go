package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// worstShown is how many vulnerabilities a refusal names.
const worstShown = 3

// vulnerableText begins as Harbor's; what comes after names the worst.
func vulnerableText(f Facts, p Project, counting []core.Finding) string {
	worst := core.SeverityNone
	for _, finding := range counting {
		worst = max(worst, finding.Severity)
	}
	text := fmt.Sprintf("The severity of vulnerability of the image: %q is equal or higher than the threshold in project setting: %q.",
		word(worst), word(p.Threshold))
	names := make([]string, 0, worstShown)
	for _, finding := range counting[:min(worstShown, len(counting))] {
		names = append(names, finding.CVE)
	}
	text += " " + strings.Join(names, ", ")
	if more := len(counting) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	text += fmt.Sprintf(" must be fixed or allowed by an administrator of the project; the report of %s in the web interface lists all.", f.Name)
	if worst < p.Threshold {
		text += " What is of unknown severity counts in this project."
	}
	return text
}

func word(s core.Severity) string { return strings.ToLower(s.String()) }

func unscannedText(f Facts) string {
	return fmt.Sprintf("The image %s has not been scanned for vulnerabilities yet, and this project asks for that. The scan is queued: pull again in a minute.", f.Name)
}

func failedText(f Facts) string {
	return fmt.Sprintf("The scan of the image %s for vulnerabilities failed: %s. Scan it again, or ask an administrator of the project.", f.Name, because(f))
}

func unscannableText(f Facts) string {
	return fmt.Sprintf("The image %s cannot be scanned for vulnerabilities: %s. An administrator of the project can allow such images.", f.Name, because(f))
}

func because(f Facts) string {
	reason := strings.TrimRight(f.Scan.Message, ". ")
	if reason == "" {
		return "its report says why"
	}
	return core.Clip(reason, 200)
}

func otherText(f Facts) string {
	return fmt.Sprintf("%s is no image that can be scanned for vulnerabilities, and this project takes none such. An administrator of the project can allow other artifacts.", f.Name)
}

func quarantineText(f Facts, v Verdict) string {
	return fmt.Sprintf("The image %s is in quarantine until a scan passes; till then only administrators of the project may pull it. %s", f.Name, v.Message)
}

// kindNames are the kinds of signature as their makers write them.
var kindNames = map[core.TrustKind]string{core.TrustNotary: "Notary", core.TrustCosign: "cosign", core.TrustNotation: "notation"}

// text is Harbor's where Notary is all that counts; else it names what would.
func (t Trust) text(f Facts, now time.Time) string {
	if _, notary := t[core.TrustNotary]; notary && len(t) == 1 {
		return "The image is not signed in Notary."
	}
	ways := make([]string, 0, len(t))
	for _, kind := range t.kinds() {
		ways = append(ways, "with "+kindNames[kind]+" by "+titles(t[kind]))
	}
	text := fmt.Sprintf("The image %s is not signed as this project asks for: %s.", f.Name, strings.Join(ways, ", or "))
	for _, fact := range f.Trust {
		if _, wanted := t[fact.Kind]; wanted && !fact.Valid(now) {
			return text + fmt.Sprintf(" A signature by %s was valid until %s.", core.Clip(fact.Signer, 100), fact.ValidUntil.UTC().Format(time.RFC3339))
		}
	}
	return text
}

// titles names at most five signers.
func titles(signers []Signer) string {
	const shown = 5
	if len(signers) == 0 {
		return "any trusted key"
	}
	names := make([]string, 0, shown+1)
	for i, s := range signers {
		if i == shown {
			names = append(names, fmt.Sprintf("%d others", len(signers)-shown))
			break
		}
		names = append(names, core.Clip(s.title(), 100))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return names[0]
}

func (s Signer) title() string {
	for _, text := range []string{s.Title, s.Name, s.KeyID} {
		if text != "" {
			return text
		}
	}
	return "nobody"
}
