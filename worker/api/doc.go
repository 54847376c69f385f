// Package api is a profile's HTTP server: an OpenAI-compatible API in front of
// the profile's agent. It is the only package that knows echo, and nothing of
// echo leaves the handlers.
//
// A request passes, from the outside in: conn (one connection: what net/http
// cannot say itself), observe (headers, request id, log, errors, panics), admit
// (drain), crossOrigin (CORS), canonical (aliases of paths), echo's router,
// authorize (the key), and its handler. One file holds one endpoint.
//
// A turn of the agent goes through gate, which keeps too many from running at
// once, and its events through an encoder: a pure state machine that turns
// events into bytes and knows nothing of HTTP. The stream writes those bytes,
// keeps the connection alive in silence, and stops the turn when the client has
// gone.
package api
