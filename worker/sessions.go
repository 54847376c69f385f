package worker

import (
	"context"
	"errors"

	"hermes/worker/store"
	"hermes/worker/tools"
)

// sessions lets the agent look into what was said before.
type sessions struct{ store *store.Store }

var (
	_ tools.Sessions   = sessions{}
	_ tools.TaskKeeper = (*store.Store)(nil)
)

// Search finds the messages that fit best, by session.
func (s sessions) Search(ctx context.Context, query, without string, limit, hits int) ([]tools.SessionInfo, error) {
	found, err := s.store.Search(ctx, store.Search{Text: query, Without: without, Sessions: limit, Hits: hits})
	infos := make([]tools.SessionInfo, len(found))
	for i, session := range found {
		infos[i] = infoOf(session.Summary)
		for _, hit := range session.Hits {
			infos[i].Hits = append(infos[i].Hits, tools.SessionMessage{ID: hit.ID, Role: hit.Role, Text: hit.Snippet, At: hit.At})
		}
	}
	return infos, err
}

// Latest returns the sessions that were used last, but for one.
func (s sessions) Latest(ctx context.Context, without string, limit int) ([]tools.SessionInfo, error) {
	latest, err := s.store.Summaries(ctx, store.Latest{Without: without, Limit: limit})
	infos := make([]tools.SessionInfo, len(latest))
	for i, summary := range latest {
		infos[i] = infoOf(summary)
	}
	return infos, err
}

// Session returns one, and false if there is none of that id.
func (s sessions) Session(ctx context.Context, id string) (tools.SessionInfo, bool, error) {
	summary, err := s.store.Summary(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return tools.SessionInfo{}, false, nil
	}
	return infoOf(summary), err == nil, err
}

// Around returns a message with those on each side of it.
func (s sessions) Around(ctx context.Context, sessionID string, id int64, window int) ([]tools.SessionMessage, error) {
	return toolMessages(s.store.Around(ctx, sessionID, id, window))
}

// Ends returns the first and the last messages of a session.
func (s sessions) Ends(ctx context.Context, sessionID string, first, last int) ([]tools.SessionMessage, error) {
	return toolMessages(s.store.Ends(ctx, sessionID, first, last))
}

func infoOf(summary store.Summary) tools.SessionInfo {
	return tools.SessionInfo{ID: summary.ID, Parent: summary.ParentID, Title: summary.Title, Used: summary.Updated, Messages: summary.Messages}
}

func toolMessages(messages []store.Message, err error) ([]tools.SessionMessage, error) {
	list := make([]tools.SessionMessage, len(messages))
	for i, m := range messages {
		list[i] = tools.SessionMessage{ID: m.ID, Role: m.Role, Text: m.Text, At: m.At}
	}
	return list, err
}
