package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/web"
)

// noWeb is what the web tools say where there is no web for them.
const noWeb = "There is no access to the web here."

// maxQuery is how long a query may be, in bytes.
const maxQuery = 2000

// webSearch is the tool that asks search services.
type webSearch struct {
	spec llm.ToolSpec
	web  *web.Client // nil if there is none
}

func newWebSearch(opts Options) *webSearch { return &webSearch{mustSpec("web_search"), opts.Web} }

func (t *webSearch) Spec() llm.ToolSpec { return t.spec }

func (t *webSearch) Emoji() string { return "🔍" }

func (t *webSearch) Concurrent() bool { return true }

// webSearchArguments are the arguments of web_search.
type webSearchArguments struct {
	Query string `json:"query"`
	Limit int    `json:"limit"`
}

func (t *webSearch) Label(input json.RawMessage) string {
	arguments, err := decode[webSearchArguments](input)
	if err != nil {
		return ""
	}
	return arguments.Query
}

func (t *webSearch) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[webSearchArguments](input)
	if err != nil {
		return Result{}, err
	}
	query := strings.Join(strings.Fields(arguments.Query), " ")
	switch {
	case query == "":
		return Failure("The query is empty."), nil
	case len(query) > maxQuery:
		return Failure(fmt.Sprintf("The query is longer than %d bytes. A few words find more.", maxQuery)), nil
	case t.web == nil:
		return Failure(noWeb), nil
	}
	found, err := t.web.Search(ctx, query, arguments.Limit)
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case err != nil:
		return Failure(fmt.Sprintf("The search failed; whether there are results is not known. %s.", strings.TrimSuffix(err.Error(), "."))), nil
	case len(found.Results) == 0:
		return Result{Text: fmt.Sprintf("%s has no results for %s", found.Service, query)}, nil
	}
	var text strings.Builder
	for i, result := range found.Results {
		fmt.Fprintf(&text, "%d. %s\n   %s\n", i+1, result.Title, result.URL)
		if result.Description != "" {
			fmt.Fprintf(&text, "   %s\n", result.Description)
		}
	}
	return Result{Text: text.String()}, nil
}
