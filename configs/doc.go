// Package configs is what a profile can be told: the table of all settings, the
// typed Config made from it, and the edits of the two files that hold it.
//
// # Which function for which need
//
//   - Load reads a profile's settings from everywhere they may stand, checks all
//     of them and says for each value where it came from.
//   - Set and Unset change one setting in place, in .env or in config.yaml, and
//     leave every other byte of the file alone.
//   - Keys is the table: one row per setting. Loading, checking, editing, the
//     template of config.yaml, completion and the documentation follow from it.
//   - Secret holds what must not be printed.
//
// # Order, strongest first
//
//  1. command-line flags (Sources.Overrides)
//  2. the process environment, for the default profile only: API_SERVER_* and
//     provider keys
//  3. the profile's .env
//  4. the profile's config.yaml; api_server may also stand under platforms
//  5. the home's config.yaml and .env, for named profiles: model settings and
//     provider keys only, never API_SERVER_*
//  6. the built-in default
//
// # Promises
//
// No secret appears in an error, a warning or a log line. Nothing is written
// unless the settings are as valid after the edit as before. Writes are atomic,
// mode 0600, and two at the same time lose nothing. The process environment is
// never changed. viper is imported here and nowhere else; it decodes, it never
// writes (its writer drops comments, lower-cases keys and puts secrets from the
// environment on disk).
package configs
