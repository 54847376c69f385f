package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// openapi describes what this server serves, as OpenAPI 3.1. It is written by
// hand; the tests hold it against the routes and against real answers. A new
// endpoint needs its operation there and its route in routes, and no more:
// /v1/capabilities follows from it.
//
//go:embed openapi.json
var openapi []byte

// showOpenAPI answers GET /openapi.json.
func (s *Server) showOpenAPI(c echo.Context) error {
	return c.JSONBlob(http.StatusOK, openapi)
}

// operation is an endpoint as the description has it.
type operation struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Key     bool   `json:"key"` // it needs the key
	Summary string `json:"summary"`
	// headers are the names of the request headers that it knows.
	headers []string
}

// parameter is a parameter of an operation, or a reference to one.
type parameter struct {
	Ref  string `json:"$ref"`
	Name string `json:"name"`
	In   string `json:"in"`
}

// parameterPrefix begins references to parameters that several operations have.
const parameterPrefix = "#/components/parameters/"

// operations lists the endpoints of the description, by path and method.
func operations() ([]operation, error) {
	var description struct {
		Paths map[string]map[string]struct {
			Summary    string      `json:"summary"`
			Security   *[]any      `json:"security"`
			Parameters []parameter `json:"parameters"`
		} `json:"paths"`
		Components struct {
			Parameters map[string]parameter `json:"parameters"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openapi, &description); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	var all []operation
	for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
		methods := description.Paths[path]
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			described := methods[method]
			one := operation{
				Method: strings.ToUpper(method), Path: path, Summary: described.Summary,
				Key: described.Security == nil || len(*described.Security) > 0,
			}
			for _, parameter := range described.Parameters {
				if parameter.Ref != "" {
					parameter = description.Components.Parameters[strings.TrimPrefix(parameter.Ref, parameterPrefix)]
				}
				if parameter.In == "header" {
					one.headers = append(one.headers, parameter.Name)
				}
			}
			all = append(all, one)
		}
	}
	return all, nil
}
