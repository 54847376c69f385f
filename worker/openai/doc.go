// Package openai holds the wire types of the OpenAI-compatible APIs: what clients
// send to a profile and get back. The chat command of hermes is one of these
// clients.
//
// Two rules shape them. What goes out has exactly the keys that the public
// description and the strictest clients ask for: a key is left out only where
// its comment says so. What comes in is taken as real clients and servers send
// it: content as a string, as parts or null, counts as floats, arguments as
// objects, errors as bare strings. Unknown fields are ignored.
//
// The package knows nothing of the rest of hermes.
package openai
