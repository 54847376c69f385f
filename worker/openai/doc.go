// Package openai holds the wire types of the OpenAI-compatible APIs, in both
// directions: what clients send to a profile and get back, and what hermes
// sends to its upstream and reads from it.
//
// Two rules shape them. What goes out has exactly the keys that the public
// description and the strictest clients ask for: a key is left out only where
// its comment says so. What comes in is taken as real clients and providers
// send it: content as a string, as parts or null, counts as floats, arguments as
// objects, errors as bare strings. Unknown fields are ignored.
//
// The package knows nothing of the rest of hermes.
package openai
