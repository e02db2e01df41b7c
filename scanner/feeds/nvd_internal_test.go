package feeds

import (
	"strings"
	"testing"
)

func TestScoreOfNVD(t *testing.T) {
	data := func(version, severity string) string {
		return `"cvssData":{"version":"` + version + `","baseSeverity":"` + severity + `"}`
	}
	for _, test := range []struct{ name, cve, want string }{
		{"NVD's own first", `{"id":"CVE-1","metrics":{"cvssMetricV40":[{"type":"Secondary",` + data("4.0", "LOW") + `}],
			"cvssMetricV31":[{"type":"Secondary",` + data("3.1", "MEDIUM") + `},{"type":"Primary",` + data("3.1", "HIGH") + `}]}}`, `{"version":"3.1","baseSeverity":"HIGH"}`},
		{"that of the CVE's authority", `{"id":"CVE-1","metrics":{"cvssMetricV31":[{"type":"Secondary",` + data("3.1", "MEDIUM") + `}]}}`, `{"version":"3.1","baseSeverity":"MEDIUM"}`},
		{"CVSS 4", `{"id":"CVE-1","metrics":{"cvssMetricV40":[{"type":"Secondary",` + data("4.0", "LOW") + `}]}}`, `{"version":"4.0","baseSeverity":"LOW"}`},
		{"CVSS 2", `{"id":"CVE-1","metrics":{"cvssMetricV2":[{"type":"Primary","baseSeverity":"HIGH","cvssData":{"version":"2.0","baseScore":7.5}}]}}`,
			`{"baseScore":7.5,"baseSeverity":"HIGH","version":"2.0"}`},
		{"rejected", `{"id":"CVE-1","vulnStatus":"Rejected","metrics":{"cvssMetricV31":[{"type":"Primary",` + data("3.1", "HIGH") + `}]}}`, ""},
		{"none", `{"id":"CVE-1","metrics":{}}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			err := eachCVE(strings.NewReader(`{"version":"2.0","vulnerabilities":[{"cve":`+test.cve+`}]}`), func(c nvdCVE) error {
				got = string(c.score())
				return nil
			})
			if err != nil || got != test.want {
				t.Errorf("score = %s, %v; want %s", got, err, test.want)
			}
		})
	}
}
