package main_test

// responsesRequest makes a request for responses of one for chat completions.
func responsesRequest(body object) object { return body }

func (s *streamReader) response(string, object) {}
