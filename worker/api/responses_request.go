package api

import (
	"encoding/json"
	"net/http"

	"hermes/worker/agent"
	"hermes/worker/openai"
)

// responseTurn makes a turn of a request for a response, or says what is wrong
// with it. What the turn answers is filled in by responseRun.begin, which knows
// what came before.
func (s *Server) responseTurn(request *openai.ResponsesRequest, openWebUI bool) (agent.Turn, error) {
	if err := checkResponse(request); err != nil {
		return agent.Turn{}, err
	}
	params, err := responseParams(request)
	if err != nil {
		return agent.Turn{}, err
	}
	turn := agent.Turn{Params: params, Source: "responses"}
	if request.MaxToolCalls != nil {
		turn.MaxToolCalls = *request.MaxToolCalls
	}
	if !openWebUI { // it adds its own tools by itself and would run them by itself
		err = setClientTools(&turn, responseOffer(request), s.opts.Agent.HasTool)
	}
	return turn, err
}

// checkResponse refuses what would change the answer and is not done here.
func checkResponse(request *openai.ResponsesRequest) error {
	switch {
	case len(request.Model) > maxModelName:
		return invalid("model", codeInvalidValue, "model is longer than %d bytes.", maxModelName)
	case request.TopLogprobs != nil && *request.TopLogprobs != 0:
		return invalid("top_logprobs", codeUnsupported, "top_logprobs must be 0: there are none for a turn of an agent.")
	case len(request.Prompt) > 0 && string(request.Prompt) != "null":
		return invalid("prompt", codeUnsupported, "prompt names a template that is kept by the server; this one keeps none. Send the text as input.")
	case request.Conversation != nil && len(request.Conversation.ID) > maxConversationName:
		return invalid("conversation", codeInvalidValue, "conversation is longer than %d bytes.", maxConversationName)
	}
	return nil
}

// responseParams checks the wishes that are passed on to the model.
func responseParams(request *openai.ResponsesRequest) (agent.Params, error) {
	format := request.Text.Format
	if format.Type == openai.FormatJSONSchema && format.Name == "" {
		return agent.Params{}, invalid("text.format.name", codeInvalidValue, "text.format.name is missing: a schema needs a name.")
	}
	chat := &openai.ChatRequest{
		Temperature: request.Temperature, TopP: request.TopP, MaxTokens: request.MaxOutputTokens,
		PresencePenalty: request.PresencePenalty, FrequencyPenalty: request.FrequencyPenalty,
	}
	if format.Type == openai.FormatJSONObject || format.Type == openai.FormatJSONSchema {
		chat.ResponseFormat = &openai.ResponseFormat{Type: format.Type}
	}
	if format.Type == openai.FormatJSONSchema {
		// The schema is what chat completions nest, without the type.
		chat.ResponseFormat.JSONSchema = appendJSON(nil, struct {
			Name        string          `json:"name"`
			Description *string         `json:"description,omitempty"`
			Schema      json.RawMessage `json:"schema,omitempty"`
			Strict      *bool           `json:"strict,omitempty"`
		}{format.Name, format.Description, format.Schema, format.Strict})
	}
	if request.Reasoning != nil && request.Reasoning.Effort != nil {
		chat.ReasoningEffort = *request.Reasoning.Effort
	}
	return chatParams(chat)
}

// responseOffer is the offer of client tools of a request, in the words of chat
// completions.
func responseOffer(request *openai.ResponsesRequest) toolOffer {
	offer := toolOffer{choice: request.ToolChoice, parallel: request.ParallelToolCalls}
	for _, tool := range request.Tools {
		function := openai.Function{Name: tool.Name, Parameters: tool.Parameters, Strict: tool.Strict}
		if tool.Description != nil {
			function.Description = *tool.Description
		}
		offer.tools = append(offer.tools, openai.Tool{Type: tool.Type, Function: function})
	}
	return offer
}

// toolItemsOf resolves api_server.tool_items for one request.
func toolItemsOf(setting string, h http.Header, openWebUI bool) toolItems {
	switch {
	case setting == "mcp_call", fromTerminal(h):
		return toolMCPCalls
	case openWebUI:
		return toolPairLists
	case setting == "function_call":
		return toolPairs
	case fromAgentSDK(h):
		return toolMCPCalls
	default:
		return toolPairs
	}
}
