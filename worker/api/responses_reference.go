package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"hermes/worker/openai"
	"hermes/worker/store"
)

// itemOwner returns the id of the response that an item belongs to, and whether
// the item is part of its input. Ids that were not made here belong to none.
func itemOwner(id string) (response string, input bool) {
	_, rest, _ := strings.Cut(id, "_")
	base, number, ok := strings.Cut(rest, "_")
	if !ok || base == "" || number == "" {
		return "", false
	}
	return openai.PrefixResponse + base, number[0] == 'i'
}

// resolveReferences puts items of stored responses in place of references to
// them. SDKs send those for what they take to be stored.
func (s *Server) resolveReferences(ctx context.Context, input openai.Items) (openai.Items, error) {
	resolved := input
	for i, item := range input {
		reference, ok := item.(openai.ReferenceItem)
		if !ok {
			continue
		}
		found, err := s.storedItem(ctx, reference.ID)
		if err != nil {
			return nil, err
		}
		if found == nil {
			f := refused(http.StatusNotFound, openai.TypeInvalidRequest, codeItemNotFound,
				"input[%d].id: there is no item %s in the responses that are stored here. Send the item itself.", i, oneLine(reference.ID))
			f.body.Param = fmt.Sprintf("input[%d].id", i)
			return nil, f
		}
		if i == 0 || len(resolved) == len(input) && &resolved[0] == &input[0] {
			resolved = slices.Clone(input)
		}
		resolved[i] = found
	}
	return resolved, nil
}

// storedItem returns an item of a stored response, nil if there is none.
func (s *Server) storedItem(ctx context.Context, id string) (openai.Item, error) {
	owner, isInput := itemOwner(id)
	if owner == "" {
		return nil, nil
	}
	items, err := s.storedItems(ctx, owner, isInput)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if item.ItemID() == id {
			return item, nil
		}
	}
	return nil, nil
}

// storedItems returns the input or the output of a stored response, none if it is
// not there.
func (s *Server) storedItems(ctx context.Context, id string, input bool) (openai.Items, error) {
	var items openai.Items
	stored, err := s.opts.Store.Response(ctx, id)
	if err == nil && input {
		var body []byte
		if body, err = s.opts.Store.InputItems(ctx, id); err == nil {
			err = json.Unmarshal(body, &items)
		}
	} else if err == nil {
		var response openai.Response
		err = json.Unmarshal(stored.Body, &response)
		items = response.Output
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, internal(fmt.Errorf("read items: %w", err))
	}
	return items, nil
}
