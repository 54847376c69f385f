package api

import (
	"errors"
	"net/http"

	"hermes/worker/openai"
	"hermes/worker/store"
)

// responseError is a failure as a response shows it.
func responseError(f *failure) openai.ResponseError {
	code := openai.CodeServerError
	switch {
	case f.body.Code == codeRateLimit, f.body.Code == codeQuota:
		code = openai.CodeRateLimitExceeded
	case f.body.Code == codeOverflow, f.status == http.StatusBadRequest:
		code = openai.CodeInvalidPrompt
	}
	return openai.ResponseError{Code: code, Message: f.body.Message, Type: f.body.Type}
}

// storeFailure says what a failed use of the store is to the client.
func (s *Server) storeFailure(err error) *failure {
	f, ok := errors.AsType[*failure](err)
	switch {
	case ok:
		return f
	case errors.Is(err, store.ErrNotFound):
		f := refused(http.StatusNotFound, openai.TypeInvalidRequest, codePreviousNotFound,
			"The previous response is not stored here. Perhaps it was deleted, or gave way to newer ones; send the whole history as input instead.")
		f.body.Param = "previous_response_id"
		return f
	case errors.Is(err, store.ErrInFlight):
		return invalid("previous_response_id", codeInFlight, "The previous response has not ended yet. Wait until it has, or cancel it.")
	case errors.Is(err, store.ErrFull):
		f := refused(http.StatusInternalServerError, openai.TypeServer, codeStorage,
			"The disk of this server is full, so the response cannot be stored. Ask its admin to free some space.")
		f.cause, f.final = err, true
		return f
	default:
		return internal(err)
	}
}
