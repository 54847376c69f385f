package api

// Settled waits for what goes on beside requests.
func (s *Server) Settled() { s.working.Wait() }
