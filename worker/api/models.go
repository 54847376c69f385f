package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

// model is the profile as clients see it. The first four fields are the
// standard's; the others are read by Open WebUI, which takes them as the
// settings of the model unless an admin has made other ones.
type model struct {
	ID      string    `json:"id"`
	Object  string    `json:"object"`
	Created int64     `json:"created"`
	OwnedBy string    `json:"owned_by"`
	Name    string    `json:"name"`
	Info    modelInfo `json:"info"`
}

type modelInfo struct {
	Meta modelMeta `json:"meta"`
}

type modelMeta struct {
	Description  string       `json:"description"`
	Capabilities capabilities `json:"capabilities"`
}

type capabilities struct {
	// BuiltinTools is false so that Open WebUI does not offer tools of its own
	// beside the agent's.
	BuiltinTools bool `json:"builtin_tools"`
	// Usage is true so that it asks for token counts.
	Usage  bool `json:"usage"`
	Vision bool `json:"vision"`
}

type modelList struct {
	Object string  `json:"object"`
	Data   []model `json:"data"`
}

func (s *Server) model() model {
	return model{
		ID: s.opts.ModelName, Object: "model", Created: s.created, OwnedBy: "hermes", Name: s.opts.ModelName,
		Info: modelInfo{Meta: modelMeta{
			Description:  "A private agent that runs commands and works with files in its own workspace.",
			Capabilities: capabilities{Usage: true, Vision: true},
		}},
	}
}

// listModels answers GET /v1/models.
func (s *Server) listModels(c echo.Context) error {
	writeJSON(c.Response(), http.StatusOK, modelList{Object: "list", Data: []model{s.model()}})
	return nil
}

// showModel answers GET /v1/models/{id}.
func (s *Server) showModel(c echo.Context) error {
	if c.Param("*") != s.opts.ModelName {
		f := refused(http.StatusNotFound, openai.TypeInvalidRequest, codeModelNotFound,
			"There is no such model here. This server has one: %s.", s.opts.ModelName)
		f.body.Param = "model"
		return f
	}
	writeJSON(c.Response(), http.StatusOK, s.model())
	return nil
}
