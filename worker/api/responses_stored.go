package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
	"hermes/worker/store"
)

// The lengths of a page of input items.
const (
	defaultPage = 20
	maxPage     = 100
)

// showResponse answers GET /v1/responses/{id}, as an object or as the stream of
// its events.
func (s *Server) showResponse(c echo.Context) error {
	query := c.QueryParams()
	stream, err := boolParam(query.Get("stream"), "stream")
	if err != nil {
		return err
	}
	after, err := startingAfter(query.Get("starting_after"), stream)
	if err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("id")
	p := s.live.get(id)
	switch {
	case p != nil && !stream:
		writeBody(c.Response(), http.StatusOK, p.snapshot())
		return nil
	case p != nil && p.log != nil:
		return p.followLog(ctx, c.Response(), after+1)
	}
	response, err := s.opts.Store.Response(ctx, id)
	if err != nil {
		return s.notStored(err, id)
	}
	if !stream {
		writeBody(c.Response(), http.StatusOK, response.Body)
		return nil
	}
	return s.replay(ctx, c.Response(), p, response, after)
}

// replay sends the stream of a stored response. While p makes it for a client of
// its own, others get the events when they are all there.
func (s *Server) replay(ctx context.Context, w http.ResponseWriter, p *responseRun, response store.Response, after int64) error {
	out := openStream(w, func(error) {})
	defer out.close()
	if p != nil {
		if out.send(nil, true) != nil { // the headers, as nothing else goes out for now
			return errGone
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			return errGone
		}
		var err error
		if response, err = s.opts.Store.Response(ctx, response.ID); err != nil {
			return errGone // it was deleted
		}
		if p.late != nil {
			response = p.record
		}
	}
	var body openai.Response
	if err := json.Unmarshal(response.Body, &body); err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	err := replayResponse(&body, response.Outline, after, func(events []byte) error { return out.send(events, true) })
	if out.failed() {
		return errGone
	}
	return err
}

// followLog sends the events of a running response from the given one on, until
// it has ended.
func (p *responseRun) followLog(client context.Context, w http.ResponseWriter, from int64) error {
	ctx, cancel := context.WithCancel(client)
	defer cancel()
	out := openStream(w, func(error) { cancel() })
	defer out.close()
	if out.send(nil, true) != nil { // the headers: the next event may take long
		return errGone
	}
	if err := p.log.follow(ctx, from, func(events []byte) error { return out.send(events, true) }); err != nil {
		return errGone
	}
	return nil
}

// deleteResponse answers DELETE /v1/responses/{id}. A response that is made in the
// background is cancelled; any other one that is still made is sent to its client
// and not stored.
func (s *Server) deleteResponse(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	if err := s.opts.Store.DeleteResponse(ctx, id); err != nil {
		return s.notStored(err, id)
	}
	if p := s.live.get(id); p != nil && p.request.Background {
		p.cancel(errStopped)
	}
	writeJSON(c.Response(), http.StatusOK, openai.DeletedResponse{ID: id, Object: openai.ObjectResponse, Deleted: true})
	return nil
}

// cancelResponse answers POST /v1/responses/{id}/cancel. When it has answered, the
// turn has ended, with its tools.
func (s *Server) cancelResponse(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	// The run first: it goes only when its end is stored, and what is read of the
	// store before that is out of date.
	p := s.live.get(id)
	if p != nil && p.request.Background {
		p.cancel(errStopped)
		select {
		case <-p.done:
		case <-ctx.Done():
			return errGone
		}
	}
	response, err := s.opts.Store.Response(ctx, id)
	if err != nil {
		return s.notStored(err, id)
	}
	if !response.Background {
		return invalid("", codeNotBackground, "Only a response that is made with background: true can be cancelled. Close the connection of any other one to stop it.")
	}
	if p == nil && response.InFlight() { // as while one process takes over from another
		f := refused(http.StatusServiceUnavailable, openai.TypeServer, codeElsewhere,
			"The response is still made by the process that this one takes over from. Try again in a moment.")
		f.retryAfter = time.Second
		return f
	}
	if p != nil && p.late != nil {
		response.Body = p.final
	}
	writeBody(c.Response(), http.StatusOK, response.Body)
	return nil
}

// listInputItems answers GET /v1/responses/{id}/input_items, the newest item
// first unless the client wants it otherwise.
func (s *Server) listInputItems(c echo.Context) error {
	limit, order, err := pageParams(c.QueryParam("limit"), c.QueryParam("order"))
	if err != nil {
		return err
	}
	id := c.Param("id")
	input, err := s.opts.Store.InputItems(c.Request().Context(), id)
	if err != nil {
		return s.notStored(err, id)
	}
	var items openai.Items
	if err := json.Unmarshal(input, &items); err != nil {
		return internal(fmt.Errorf("read input items: %w", err))
	}
	if order == "desc" {
		slices.Reverse(items)
	}
	if after := c.QueryParam("after"); after != "" {
		i := slices.IndexFunc(items, func(item openai.Item) bool { return item.ItemID() == after })
		if i < 0 {
			return invalid("after", codeInvalidValue, "after must be the id of an item of this list.")
		}
		items = items[i+1:]
	}
	more := len(items) > limit
	if more {
		items = items[:limit]
	}
	writeJSON(c.Response(), http.StatusOK, openai.NewItemPage(items, more))
	return nil
}

// notStored says what a failed look at a response is to the client.
func (s *Server) notStored(err error, id string) error {
	if errors.Is(err, store.ErrNotFound) {
		return refused(http.StatusNotFound, openai.TypeInvalidRequest, codeNotFound,
			"There is no response %s here. Perhaps it was deleted, made with store: false, or gave way to newer ones.", oneLine(id))
	}
	return s.storeFailure(err)
}

// boolParam reads a parameter of a query that is true or false.
func boolParam(value, name string) (bool, error) {
	if value == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, invalid(name, codeInvalidValue, "%s must be true or false.", name)
	}
	return on, nil
}

// startingAfter reads the number of the last event that a client has; -1 if it has
// none.
func startingAfter(value string, stream bool) (int64, error) {
	if value == "" {
		return -1, nil
	}
	after, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil || after < 0:
		return 0, invalid("starting_after", codeInvalidValue, "starting_after must be the sequence_number of an event.")
	case !stream:
		return 0, invalid("starting_after", codeInvalidValue, "starting_after needs stream=true.")
	}
	return min(after, math.MaxInt64-1), nil // there is a next number
}

// pageParams reads what a client wants to see of a list.
func pageParams(limit, order string) (int, string, error) {
	n := defaultPage
	if limit != "" {
		var err error
		if n, err = strconv.Atoi(limit); err != nil || n < 1 || n > maxPage {
			return 0, "", invalid("limit", codeInvalidValue, "limit must be from 1 to %d.", maxPage)
		}
	}
	switch order {
	case "":
		order = "desc"
	case "asc", "desc":
	default:
		return 0, "", invalid("order", codeInvalidValue, "order must be asc or desc.")
	}
	return n, order, nil
}
