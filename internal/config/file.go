package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
	"go.yaml.in/yaml/v3"
)

const maxFileSize = 1 << 20

// readFile reads the settings file: one YAML mapping from flag names to a
// text, a number, a boolean or, for repeatable settings, a list of texts.
// An empty value counts as not set, so that a file may list every key.
func readFile(path string) (map[string]setting, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Err: err,
			Message: "cannot read the settings file; check --config and that breakwater may read the file"}
	}
	defer f.Close()
	root, err := parseYAML(f)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Err: err,
			Message: fmt.Sprintf("the settings file %s cannot be understood; it takes lines like \"listen: :8443\"", path)}
	}
	found := map[string]setting{}
	for i := 0; i+1 < len(root); i += 2 {
		key, value := root[i], root[i+1]
		origin := fmt.Sprintf("%s, line %d", path, key.Line)
		if err := checkKey(key.Value, found); err != nil {
			return nil, fmt.Errorf("%s: %w", origin, err)
		}
		values, err := scalars(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", origin, key.Value, err)
		}
		found[key.Value] = setting{values: values, origin: origin + ": " + key.Value}
	}
	return withoutEmpty(found), nil
}

// parseYAML returns the keys and values of the one mapping in r, alternately.
func parseYAML(r io.Reader) ([]*yaml.Node, error) {
	limited := &io.LimitedReader{R: r, N: maxFileSize}
	decoder := yaml.NewDecoder(limited)
	var document yaml.Node
	err := decoder.Decode(&document)
	if limited.N == 0 {
		return nil, errors.New("it is larger than 1 MiB")
	}
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in the file")
	}
	root := document.Content[0]
	if root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: expected \"key: value\"", root.Line)
	}
	return root.Content, nil
}

// checkKey refuses keys that are unknown, not for the file, or there twice.
func checkKey(key string, found map[string]setting) error {
	var known []string
	for _, o := range options() {
		switch {
		case o.name == key && o.secret:
			return core.Errorf(core.CodeBadRequest, "%s does not belong into the file; set %s or %s instead", key, o.env(), o.env()+fileSuffix)
		case o.name != configName && !o.secret:
			known = append(known, o.name)
		}
	}
	if !slices.Contains(known, key) {
		return core.Errorf(core.CodeBadRequest, "unknown key %q%s", key, didYouMean(key, known))
	}
	if _, twice := found[key]; twice {
		return core.Errorf(core.CodeBadRequest, "the key %s is there twice; keep one of them", key)
	}
	return nil
}

// scalars returns the texts of a scalar or of a list of scalars.
func scalars(node *yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.AliasNode:
		return scalars(node.Alias)
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return nil, nil
		}
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var list []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, core.Errorf(core.CodeBadRequest, "line %d: expected a text in the list", item.Line)
			}
			list = append(list, item.Value)
		}
		return list, nil
	}
	return nil, core.Errorf(core.CodeBadRequest, "expected a text or a list of texts")
}

func withoutEmpty(found map[string]setting) map[string]setting {
	for key, s := range found {
		if len(s.values) == 0 {
			delete(found, key)
		}
	}
	return found
}

// didYouMean returns a question that names the known word nearest to word.
func didYouMean(word string, known []string) string {
	if best := core.Nearest(word, known); best != "" {
		return fmt.Sprintf(" (did you mean %s?)", best)
	}
	return ""
}
