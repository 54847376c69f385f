package api

import (
	"context"

	"hermes/worker/openai"
)

// fillGaps puts back what a client has left out between the items of a stored
// response that it sends back: the calls that the agent ran, and their outputs.
// Libraries drop items that they know no use for, and the model would take up
// its work again that it does not see any more.
func (s *Server) fillGaps(ctx context.Context, input openai.Items) (openai.Items, error) {
	g := gaps{sent: map[string]bool{}, outputs: map[string]openai.Items{}}
	for _, item := range input {
		g.sent[gapKey(item)] = true
	}
	filled := make(openai.Items, 0, len(input))
	for _, item := range input {
		owner, isInput := itemOwner(item.ItemID())
		if owner != "" && !isInput {
			output, known := g.outputs[owner]
			if !known {
				var err error
				if output, err = s.storedItems(ctx, owner, false); err != nil {
					return nil, err
				}
			}
			left, rest := g.before(output, item.ItemID())
			filled, g.outputs[owner] = append(filled, left...), rest
		}
		filled = append(filled, item)
	}
	return filled, nil
}

// gaps knows what a client has sent, and what was not yet looked at of the
// responses that its items are from.
type gaps struct {
	sent    map[string]bool
	outputs map[string]openai.Items
}

// before returns the items of the agent that stand in an output before the one of
// that id and were not sent, and what comes after it. Without such an item there
// are none.
func (g gaps) before(output openai.Items, id string) (left, rest openai.Items) {
	answered := map[string]bool{} // calls that the agent ran, not the client
	for _, item := range output {
		if item, ok := item.(openai.FunctionOutputItem); ok {
			answered[item.CallID] = true
		}
	}
	for i, item := range output {
		if item.ItemID() == id {
			return left, output[i+1:]
		}
		own := false
		switch item := item.(type) {
		case openai.MCPCallItem, openai.FunctionOutputItem:
			own = true
		case openai.FunctionCallItem:
			own = answered[item.CallID]
		case openai.MessageItem, openai.ReasoningItem, openai.ReferenceItem: // the client's to send or not
		}
		if own && !g.sent[gapKey(item)] {
			left = append(left, item)
		}
	}
	return nil, output
}

// gapKey is the same for an item and what a client sends back of it. Many do so
// without the ids of calls and outputs.
func gapKey(item openai.Item) string {
	switch item := item.(type) {
	case openai.FunctionCallItem:
		return openai.ItemFunctionCall + " " + item.CallID
	case openai.FunctionOutputItem:
		return openai.ItemFunctionOutput + " " + item.CallID
	default:
		return item.ItemID()
	}
}
