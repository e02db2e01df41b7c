package feeds

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/quay/claircore/enricher/cvss"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/pkg/tmp"
)

// firstNVDYear is the first that NVD has a file for.
const firstNVDYear = 2002

// nvd reads NVD's yearly files in place of claircore's updater, which needs
// memory for a whole year, trusts a file without looking at its checksum, and
// knows no score but NVD's own of CVSS 3. It has the same name and fingerprint.
type nvd struct {
	driver.NoopUpdater
	client *http.Client
}

func newNVD() driver.UpdaterSetFactory {
	set := driver.NewUpdaterSet()
	_ = set.Add(&nvd{}) // it is alone
	return driver.StaticSet(set)
}

// Name implements driver.EnrichmentUpdater.
func (*nvd) Name() string { return (*cvss.Enricher)(nil).Name() }

// Configure implements driver.Configurable.
func (u *nvd) Configure(_ context.Context, _ driver.ConfigUnmarshaler, client *http.Client) error {
	u.client = client
	return nil
}

// FetchEnrichment implements driver.EnrichmentUpdater: it writes the records to
// a temporary file as a stream of JSON objects.
func (u *nvd) FetchEnrichment(ctx context.Context, hint driver.Fingerprint) (io.ReadCloser, driver.Fingerprint, error) {
	sums, err := u.sums(ctx)
	if err != nil {
		return nil, "", err
	}
	fingerprint, err := json.Marshal(sums)
	if err != nil {
		return nil, "", err
	}
	if driver.Fingerprint(fingerprint) == hint {
		return nil, hint, driver.Unchanged
	}
	file, err := tmp.NewFile("", "nvd.")
	if err != nil {
		return nil, "", err
	}
	if err := u.spool(ctx, sums, file); err != nil {
		return nil, "", errors.Join(err, file.Close())
	}
	return file, driver.Fingerprint(fingerprint), nil
}

func (u *nvd) spool(ctx context.Context, sums map[int]string, file *tmp.File) error {
	out := bufio.NewWriter(file)
	enc := json.NewEncoder(out)
	for year := firstNVDYear; year <= time.Now().Year(); year++ {
		if sum, ok := sums[year]; ok {
			if err := u.year(ctx, year, sum, enc); err != nil {
				return err
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := file.Seek(0, io.SeekStart)
	return err
}

// ParseEnrichment implements driver.EnrichmentUpdater. The records are read one
// by one instead; see enrichments.
func (u *nvd) ParseEnrichment(context.Context, io.ReadCloser) ([]driver.EnrichmentRecord, error) {
	return nil, errors.ErrUnsupported
}

// sums returns the checksums of the years that the source has. A mirror may
// begin with a later year, and this year's file comes some days after new year;
// a gap is an error.
func (u *nvd) sums(ctx context.Context) (map[int]string, error) {
	sums := map[int]string{}
	this := time.Now().Year()
	for year := firstNVDYear; year <= this; year++ {
		name := fmt.Sprintf("nvdcve-2.0-%d.meta", year)
		body, err := u.get(ctx, name)
		if errors.Is(err, errAbsent) && (len(sums) == 0 || year == this) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(body, 4096))
		if err := errors.Join(err, body.Close()); err != nil {
			return nil, err
		}
		if sums[year] = sumOf(string(text)); sums[year] == "" {
			return nil, fmt.Errorf("%s has no line with the checksum, as NVD's have", name)
		}
	}
	if len(sums) == 0 {
		return nil, fmt.Errorf("the source has none of NVD's files nvdcve-2.0-YEAR.meta: %w", errAbsent)
	}
	return sums, nil
}

// sumOf reads the SHA-256 from a meta file, in upper case as NVD writes it.
func sumOf(meta string) string {
	for line := range strings.Lines(meta) {
		if sum, ok := strings.CutPrefix(strings.TrimSpace(line), "sha256:"); ok && len(sum) == 2*sha256.Size {
			return strings.ToUpper(sum)
		}
	}
	return ""
}

var errAbsent = errors.New("404 Not Found")

func (u *nvd) get(ctx context.Context, name string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, cvss.DefaultFeeds+name, nil)
	if err != nil {
		return nil, err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	if err := response.Body.Close(); err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", name, errAbsent)
	}
	return nil, fmt.Errorf("%s: %s", name, response.Status)
}

// year writes the records of one year's file, whose content must have the sum.
func (u *nvd) year(ctx context.Context, year int, sum string, enc *json.Encoder) (err error) {
	name := fmt.Sprintf("nvdcve-2.0-%d.json.gz", year)
	body, err := u.get(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	plain, err := gzip.NewReader(body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	hash := sha256.New()
	content := io.TeeReader(plain, hash)
	if err := eachCVE(content, func(c nvdCVE) error {
		if data := c.score(); data != nil {
			return enc.Encode(driver.EnrichmentRecord{Tags: []string{c.ID}, Enrichment: data})
		}
		return nil
	}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if got := strings.ToUpper(hex.EncodeToString(hash.Sum(nil))); got != sum {
		return fmt.Errorf("%s has the checksum %s, but its meta file says %s; the source may be changing it just now", name, got, sum)
	}
	return nil
}

// nvdCVE is what is read of a CVE of NVD's schema 2.0.
type nvdCVE struct {
	ID      string `json:"id"`
	Status  string `json:"vulnStatus"`
	Metrics struct {
		V40 []nvdMetric `json:"cvssMetricV40"`
		V31 []nvdMetric `json:"cvssMetricV31"`
		V30 []nvdMetric `json:"cvssMetricV30"`
		V2  []nvdMetric `json:"cvssMetricV2"`
	} `json:"metrics"`
}

type nvdMetric struct {
	Type     string          `json:"type"` // Primary is NVD's own, Secondary that of whom the CVE is from
	Severity string          `json:"baseSeverity"`
	Data     json.RawMessage `json:"cvssData"`
}

// score returns the best score of the CVE in the form of the CVSS schemas, with
// baseSeverity, or nil. As in claircore NVD's own of CVSS 3 comes first; NVD has
// given up to score every CVE itself, so the others follow.
func (c nvdCVE) score() json.RawMessage {
	if strings.EqualFold(c.Status, "Rejected") {
		return nil
	}
	for _, kind := range []string{"Primary", "Secondary"} {
		for _, metrics := range [][]nvdMetric{c.Metrics.V31, c.Metrics.V30, c.Metrics.V40} {
			for _, m := range metrics {
				if m.Type == kind {
					return m.Data
				}
			}
		}
	}
	for _, m := range c.Metrics.V2 {
		return m.withSeverity()
	}
	return nil
}

// withSeverity adds what CVSS 2 has beside its data and later versions within.
func (m nvdMetric) withSeverity() json.RawMessage {
	data := map[string]json.RawMessage{}
	if json.Unmarshal(m.Data, &data) != nil {
		return nil
	}
	severity, err := json.Marshal(cmp.Or(strings.ToUpper(m.Severity), "NONE"))
	if err != nil {
		return nil
	}
	data["baseSeverity"] = severity
	text, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return text
}

// eachCVE calls do for every CVE of a feed file, one at a time in memory.
func eachCVE(r io.Reader, do func(nvdCVE) error) error {
	dec := json.NewDecoder(r)
	if err := enterArray(dec, "vulnerabilities"); err != nil {
		return err
	}
	for dec.More() {
		var item struct {
			CVE nvdCVE `json:"cve"`
		}
		if err := dec.Decode(&item); err != nil {
			return err
		}
		if err := do(item.CVE); err != nil {
			return err
		}
	}
	return expect(dec, json.Delim(']'))
}

// enterArray reads an object up to the beginning of its array of that name.
func enterArray(dec *json.Decoder, name string) error {
	if err := expect(dec, json.Delim('{')); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if key == name {
			return expect(dec, json.Delim('['))
		}
		var other json.RawMessage
		if err := dec.Decode(&other); err != nil {
			return err
		}
	}
	return fmt.Errorf("the file has no list %q", name)
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && got != want {
		err = fmt.Errorf("%q was expected, not %v", want, got)
	}
	return err
}
