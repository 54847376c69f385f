package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	// maxTerms bounds the words of a search. Each costs a walk through the index.
	maxTerms = 16
	// maxRanked is how many messages are ranked, the latest ones. A word that is in
	// everything is no reason to weigh every message.
	maxRanked = 200
	// snippetWords is how long a snippet is.
	snippetWords = "32"
)

// Search is what is looked for in the sessions.
type Search struct {
	// Text is words, "phrases" and beginnings of words (wor*). Messages that hold
	// all of them are found, or any of them if there are none.
	Text string
	// Without is a session that is passed over, or "".
	Without string
	// Sessions is how many are found at most, Hits how many messages of each.
	Sessions, Hits int
}

// Found is a session with the messages in it that fit best.
type Found struct {
	Summary
	Hits []Hit
}

// Hit is a message that was found.
type Hit struct {
	ID   int64  `db:"id"`
	Role string `db:"role"`
	// Snippet is the part of it that fits, with «» around the words.
	Snippet string    `db:"snippet"`
	At      time.Time `db:"-"`
}

// Search finds the messages that fit best, by session, the best session first. A
// Store that only reads does not find those of the last seconds: see index.
func (s *Store) Search(ctx context.Context, search Search) ([]Found, error) {
	if err := s.index(ctx); err != nil {
		return nil, err
	}
	terms := searchTerms(search.Text)
	var found []Found
	var err error
	for _, operator := range []string{" AND ", " OR "} {
		match := strings.Join(terms, operator)
		if match == "" || len(found) > 0 || err != nil || operator == " OR " && len(terms) == 1 {
			break
		}
		found, err = s.search(ctx, search, match)
	}
	return found, err
}

// rankedRow is a message that fits, without its text.
type rankedRow struct {
	ID        int64  `db:"id"`
	SessionID string `db:"session_id"`
}

func (s *Store) search(ctx context.Context, search Search, match string) ([]Found, error) {
	// The inner query ends after maxRanked messages; only those are ranked.
	ranked, err := read[rankedRow](ctx, s, "search", `
		SELECT m.id, m.session_id FROM (
			SELECT rowid AS id, bm25(message_search) AS score FROM message_search
			WHERE message_search MATCH ? ORDER BY rowid DESC LIMIT ?
		) AS hit JOIN messages m ON m.id = hit.id
		WHERE m.session_id <> ?
		ORDER BY hit.score, m.id DESC`, match, maxRanked, search.Without)
	if err != nil {
		return nil, err
	}
	var sessions []string
	chosen := map[string][]int64{}
	var all []int64
	for _, row := range ranked {
		ids, known := chosen[row.SessionID]
		if !known && len(sessions) == search.Sessions || len(ids) == search.Hits {
			continue
		}
		if !known {
			sessions = append(sessions, row.SessionID)
		}
		chosen[row.SessionID] = append(ids, row.ID)
		all = append(all, row.ID)
	}
	hits, err := s.snippets(ctx, match, all)
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, id := range sessions {
		summary, err := s.Summary(ctx, id)
		if err != nil {
			return nil, err
		}
		f := Found{Summary: summary}
		for _, message := range chosen[id] {
			if hit, ok := hits[message]; ok {
				f.Hits = append(f.Hits, hit)
			}
		}
		found = append(found, f)
	}
	return found, nil
}

// snippets reads what is shown of messages that were found. They are among the
// latest maxRanked, so it walks the index from the last of them to the first; to
// look each of them up would begin the walk anew each time, at three times the cost
// of all the rest. The plus keeps SQLite from that.
func (s *Store) snippets(ctx context.Context, match string, ids []int64) (map[int64]Hit, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	type row struct {
		Hit
		CreatedAt int64 `db:"created_at"`
	}
	rows, err := read[row](ctx, s, "read snippets", `
		SELECT m.id, m.role, m.created_at, snippet(message_search, 0, '«', '»', '…', `+snippetWords+`) AS snippet
		FROM message_search CROSS JOIN messages m ON m.id = message_search.rowid
		WHERE message_search MATCH ? AND message_search.rowid BETWEEN ? AND ?
			AND +message_search.rowid IN (SELECT value FROM json_each(?))`, match, slices.Min(ids), slices.Max(ids), string(list))
	if err != nil {
		return nil, err
	}
	hits := make(map[int64]Hit, len(rows))
	for _, row := range rows {
		row.At = fromMicros(row.CreatedAt)
		hits[row.ID] = row.Hit
	}
	return hits, nil
}

// searchTerms makes terms of FTS5 out of what somebody typed. All that has a
// meaning there is quoted, so that no text is a mistake of syntax.
func searchTerms(text string) []string {
	var terms []string
	for i, part := range strings.Split(text, `"`) {
		words := []string{part} // what stood in quotes is one term
		if i%2 == 0 {
			words = strings.Fields(part)
		}
		for _, word := range words {
			plain := strings.TrimRight(word, "*")
			if !strings.ContainsFunc(plain, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
				continue // the index has words only
			}
			if upper := plain; upper == "AND" || upper == "OR" || upper == "NOT" {
				continue // models know that such searches take operators
			}
			term := `"` + strings.ReplaceAll(plain, "\x00", " ") + `"`
			if plain != word {
				term += "*"
			}
			if terms = append(terms, term); len(terms) == maxTerms {
				return terms
			}
		}
	}
	return terms
}

// titleRunes is how long a title is.
const titleRunes = 60

// Summary is a session as a list shows it.
type Summary struct {
	Session
	// Title is the beginning of what its user first said, on one line.
	Title string `db:"title"`
	// Messages and Runs count what is in it.
	Messages int `db:"messages"`
	Runs     int `db:"runs"`
}

type summaryRow struct {
	Summary
	CreatedAt int64 `db:"created_at"`
	UpdatedAt int64 `db:"updated_at"`
}

func (r summaryRow) value() Summary {
	r.Created, r.Updated = fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)
	r.Title = title(r.Title)
	return r.Summary
}

const summaryColumns = sessionColumns + `,
	coalesce((SELECT substr(m.text, 1, 400) FROM messages m WHERE m.session_id = sessions.id AND m.role = 'user' AND m.text <> '' ORDER BY m.id LIMIT 1), '') AS title,
	(SELECT count(*) FROM messages m WHERE m.session_id = sessions.id) AS messages,
	(SELECT count(*) FROM runs r WHERE r.session_id = sessions.id) AS runs`

// Latest says which sessions Summaries returns.
type Latest struct {
	// Without is a session that is passed over, or "".
	Without string
	// Children is whether sessions that others have handed tasks on to are among
	// them, or Of alone whose tasks those are.
	Children bool
	Of       string
	Limit    int
}

// Summaries returns the sessions that were used last, the latest first.
func (s *Store) Summaries(ctx context.Context, l Latest) ([]Summary, error) {
	rows, err := read[summaryRow](ctx, s, "read sessions", `
		SELECT `+summaryColumns+` FROM sessions
		WHERE id <> ?1 AND (?2 OR parent_id = ?3)
		ORDER BY updated_at DESC, id DESC LIMIT ?4`, l.Without, l.Children && l.Of == "", l.Of, l.Limit)
	return values(rows, summaryRow.value), err
}

// Summary returns one session, or ErrNotFound.
func (s *Store) Summary(ctx context.Context, id string) (Summary, error) {
	rows, err := read[summaryRow](ctx, s, "read session", `SELECT `+summaryColumns+` FROM sessions WHERE id = ?`, id)
	if err != nil {
		return Summary{}, err
	}
	if len(rows) == 0 {
		return Summary{}, fmt.Errorf("read session: %q: %w", id, ErrNotFound)
	}
	return rows[0].value(), nil
}

// title makes one short line of a message.
func title(text string) string {
	printable := func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}
	runes := []rune(strings.Join(strings.Fields(strings.Map(printable, text)), " "))
	if len(runes) <= titleRunes {
		return string(runes)
	}
	return strings.TrimRight(string(runes[:titleRunes-1]), " ") + "…"
}
