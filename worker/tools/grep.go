package tools

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// maxSearchLine is how much of a line is searched, in bytes.
	maxSearchLine = 1 << 20
	// shownRunes is how much of a long line is shown.
	shownRunes = 300
)

// lines finds the matching lines of a file. Binary files have none, and what
// follows a NUL byte is not searched.
func (s *search) lines(ctx context.Context, path string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	file, _, problem := s.tool.workspace.open(path)
	if problem != "" {
		return nil // it has gone since it was listed, or may not be read
	}
	defer file.Close()
	start := bufio.NewReaderSize(file, sampleBytes)
	sample, err := start.Peek(sampleBytes)
	if err != nil && !errors.Is(err, io.EOF) || bytes.IndexByte(sample, 0) >= 0 {
		return nil
	}
	if bytes.HasPrefix(sample, []byte("\ufeff")) {
		_, _ = start.Discard(len("\ufeff"))
	}
	count, err := s.grep(ctx, path, newLineReader(start))
	if err != nil || count == 0 || s.found.mode == "content" {
		return err
	}
	return s.found.file(path, count)
}

// grep counts the matching lines, and hands them out with the lines around them
// if they are wanted.
func (s *search) grep(ctx context.Context, path string, reader *lineReader) (count int, err error) {
	var before []lineFound
	after := 0 // lines to come that belong to the last match
	for number := 1; ; number++ {
		if number%1024 == 0 && ctx.Err() != nil {
			return count, ctx.Err()
		}
		kept, _, err := reader.raw(ctx, maxSearchLine)
		if ctx.Err() != nil {
			return count, ctx.Err()
		}
		if err != nil || bytes.IndexByte(kept, 0) >= 0 {
			return count, nil
		}
		at := s.expression.FindIndex(kept)
		if at != nil {
			count++
		}
		switch {
		case s.found.mode == "count":
		case s.found.mode == "files_only":
			if at != nil {
				return count, nil
			}
		case at != nil:
			for _, line := range before {
				if err := s.found.line(line); err != nil {
					return count, err
				}
			}
			before, after = before[:0], s.found.context
			if err := s.found.line(lineFound{path, number, excerpt(kept, at[0]), true}); err != nil {
				return count, err
			}
		case after > 0:
			after--
			if err := s.found.line(lineFound{path, number, excerpt(kept, 0), false}); err != nil {
				return count, err
			}
		case s.found.context > 0:
			before = append(before, lineFound{path, number, excerpt(kept, 0), false})
			before = before[max(0, len(before)-s.found.context):]
		}
	}
}

// excerpt returns a line, or the part of a long one that is around the byte at.
func excerpt(line []byte, at int) string {
	if utf8.RuneCount(line) <= shownRunes {
		return valid(line)
	}
	from := 0
	if lead := utf8.UTFMax * shownRunes / 4; at > lead {
		from = at - lead
		for from < at && !utf8.RuneStart(line[from]) {
			from++
		}
	}
	text := valid(line[from:min(len(line), from+utf8.UTFMax*shownRunes)])
	if from > 0 {
		// A quarter of the excerpt stands before the match.
		before := valid(line[from:at])
		if surplus := utf8.RuneCountInString(before) - shownRunes/4; surplus > 0 {
			text = text[len(firstOf(before, surplus)):]
		}
		text = "…" + text
	}
	if short := firstOf(text, shownRunes); short != text || from+utf8.UTFMax*shownRunes < len(line) {
		text = short + "…"
	}
	return strings.TrimRight(text, "\r")
}
