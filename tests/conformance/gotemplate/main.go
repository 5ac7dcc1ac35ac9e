// Renders prompt templates with Go's own text/template: one JSON object a line in, one a line out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"text/template"
)

type prompt struct {
	Template string
	Library  map[string]string
	Data     struct {
		AgentName, AgentNamespace, Description string
		ToolNames, SkillNames                  []string
	}
}

func render(p prompt) (string, error) {
	include := func(path string) (string, error) {
		text, there := p.Library[path]
		if !there {
			return "", fmt.Errorf("there is no %s", path)
		}
		return text, nil
	}
	parsed, err := template.New("prompt").Funcs(template.FuncMap{"include": include}).Parse(p.Template)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, p.Data)
	return out.String(), err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var p prompt
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			panic(err)
		}
		answer := map[string]string{}
		if text, err := render(p); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["text"] = text
		}
		if err := answers.Encode(answer); err != nil {
			panic(err)
		}
	}
}
