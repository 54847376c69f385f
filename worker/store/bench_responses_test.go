package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"hermes/worker/store"
)

// latencies reports the middle and the tail of what was measured.
func latencies(b *testing.B, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds()), "p99-ns")
}

// measure runs a step as often as it takes, and what nobody waits for after each
// without counting it.
func measure(b *testing.B, step, after func(n int) error) {
	b.Helper()
	var all []time.Duration
	n := 0
	for b.Loop() {
		n++
		began := time.Now()
		must(b, step(n))
		all = append(all, time.Since(began))
		must(b, after(n))
	}
	latencies(b, all)
}

func nothing(int) error { return nil }

// BenchmarkPut stores a response of 20 KB beside 100 others, of which one goes.
// The driver does the same with one prepared table and nothing else.
func BenchmarkPut(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 20_000)
	b.Run("store", func(b *testing.B) {
		s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
		defer s.Close()
		measure(b, func(n int) error {
			r := store.Response{ID: strconv.Itoa(n), Status: store.ResponseCompleted, Body: body, Transcript: body[:1000]}
			return s.PutResponse(b.Context(), r, store.Put{})
		}, func(int) error { return s.Checkpoint(b.Context()) })
	})
	b.Run("turn", func(b *testing.B) { // begun, ended, with an idempotency key
		s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
		defer s.Close()
		measure(b, func(n int) error {
			id := strconv.Itoa(n)
			if _, err := s.BeginIdempotent(b.Context(), store.Claim{Key: id}); err != nil {
				return err
			}
			if err := s.PutResponse(b.Context(), begun(id, ""), store.Put{}); err != nil {
				return err
			}
			r := store.Response{ID: id, Status: store.ResponseCompleted, Body: body, Transcript: body[:1000]}
			return s.PutResponse(b.Context(), r, store.Put{Update: true, Finish: &store.Finish{Key: id, Answer: store.Answer{Body: body}}})
		}, func(int) error { return s.Checkpoint(b.Context()) })
	})
	b.Run("driver", func(b *testing.B) {
		db, tx := bareDriver(b)
		measure(b, func(n int) error { return tx(strconv.Itoa(n), body) }, func(n int) error {
			if n%50 != 0 {
				return nil
			}
			_, err := db.ExecContext(b.Context(), "PRAGMA wal_checkpoint(PASSIVE)")
			return err
		})
	})
}

// bareDriver is a database with one table, and what puts a row into it and
// removes the least recently used one beyond 100.
func bareDriver(b *testing.B) (*sql.DB, func(id string, body []byte) error) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bare.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_pragma=wal_autocheckpoint(0)")
	must(b, err)
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(b.Context(), "CREATE TABLE r (id TEXT PRIMARY KEY, used INTEGER, body BLOB); CREATE INDEX r_by_use ON r (used)")
	must(b, err)
	put, err := db.PrepareContext(b.Context(), "INSERT INTO r (id, used, body) VALUES (?, (SELECT coalesce(max(used), 0) + 1 FROM r), ?)")
	must(b, err)
	evict, err := db.PrepareContext(b.Context(), "DELETE FROM r WHERE id IN (SELECT id FROM r ORDER BY used LIMIT max(0, (SELECT count(*) FROM r) - 100))")
	must(b, err)
	return db, func(id string, body []byte) error {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		putNow, evictNow := tx.StmtContext(b.Context(), put), tx.StmtContext(b.Context(), evict)
		defer putNow.Close()
		defer evictNow.Close()
		if _, err := putNow.ExecContext(b.Context(), id, body); err != nil {
			return err
		}
		if _, err := evictNow.ExecContext(b.Context()); err != nil {
			return err
		}
		return tx.Commit()
	}
}

// BenchmarkGet reads a response of 20 KB: the one that was used last, as whoever
// polls does, and any other, which has to be written down as a use.
func BenchmarkGet(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 20_000)
	s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
	defer s.Close()
	for n := range 100 {
		must(b, s.PutResponse(b.Context(), store.Response{ID: strconv.Itoa(n), Status: store.ResponseCompleted, Body: body}, store.Put{}))
	}
	b.Run("same", func(b *testing.B) {
		measure(b, func(int) error { return second(s.Response(b.Context(), "7")) }, nothing)
	})
	b.Run("others", func(b *testing.B) {
		measure(b, func(n int) error { return second(s.Response(b.Context(), strconv.Itoa(n%100))) },
			func(int) error { return s.Checkpoint(b.Context()) })
	})
	b.Run("driver", func(b *testing.B) {
		db, put := bareDriver(b)
		for n := range 100 {
			must(b, put(strconv.Itoa(n), body))
		}
		get, err := db.PrepareContext(b.Context(), "SELECT body FROM r WHERE id = ?")
		must(b, err)
		measure(b, func(n int) error {
			var got []byte
			return get.QueryRowContext(b.Context(), strconv.Itoa(n%100)).Scan(&got)
		}, nothing)
	})
}

// BenchmarkChain reads a history of 20 turns of 5 KB: of the chain that was used
// last, as whoever goes on with it does, and of two in turn.
func BenchmarkChain(b *testing.B) {
	s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
	defer s.Close()
	for chain := range 2 {
		previous := ""
		for n := range 20 {
			id := fmt.Sprint(chain, "-", n)
			must(b, s.PutResponse(b.Context(), store.Response{
				ID: id, PreviousID: previous, Status: store.ResponseCompleted, Transcript: bytes.Repeat([]byte("x"), 5000),
			}, store.Put{}))
			previous = id
		}
	}
	for name, chains := range map[string]int{"same": 1, "two": 2} {
		b.Run(name, func(b *testing.B) {
			measure(b, func(n int) error { return second(s.Chain(b.Context(), fmt.Sprint(n%chains, "-19"))) },
				func(int) error { return s.Checkpoint(b.Context()) })
		})
	}
}
