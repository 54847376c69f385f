package office

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"time"
)

// formatReader reads how numbers are shown, which is all that tells a date from a
// number.
type formatReader struct {
	custom map[string]string // formats by id
	dates  []bool            // by style of a cell
	inXfs  bool
}

func (r *formatReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "numFmt":
		if len(r.custom) < maxEntries {
			r.custom[attr(e, "numFmtId")] = attr(e, "formatCode")
		}
	case "cellXfs":
		r.inXfs = true
	case "xf":
		if r.inXfs && len(r.dates) < 1<<20 {
			r.dates = append(r.dates, r.isDate(attr(e, "numFmtId")))
		}
	case "dxfs":
		return true
	}
	return false
}

func (r *formatReader) text([]byte) {}

func (r *formatReader) end(name string) {
	if name == "cellXfs" {
		r.inXfs = false
	}
}

// isDate reports whether a format shows numbers as dates or times: one of those
// built in, or one that has letters of dates outside of quotes and brackets.
func (r *formatReader) isDate(id string) bool {
	if code, ok := r.custom[id]; ok {
		return dateFormat(code)
	}
	switch n, err := strconv.Atoi(id); {
	case err != nil:
		return false
	default:
		return n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58
	}
}

// dateFormat reports whether a format is one of dates or times.
func dateFormat(code string) bool {
	if strings.EqualFold(code, "General") {
		return false
	}
	closing := byte(0)
	for i := 0; i < len(code); i++ {
		c := code[i]
		switch {
		case closing != 0:
			if c == closing {
				closing = 0
			}
		case c == '"':
			closing = '"'
		case c == '[': // a color or a currency, but also [h] for hours
			if i+1 < len(code) && strings.IndexByte("hHmMsS", code[i+1]) >= 0 && i+2 < len(code) && strings.IndexByte("hHmMsS]", code[i+2]) >= 0 {
				return true
			}
			closing = ']'
		case c == '\\', c == '_', c == '*':
			i++
		case strings.IndexByte("yYmMdDhHsS", c) >= 0:
			return true
		}
	}
	return false
}

// number is a number as it is shown: a date where its style says so, else without
// what binary fractions add.
func (r *formatReader) number(value, style string, from1904 bool) string {
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return oneLine(value)
	}
	if index, err := strconv.Atoi(style); err == nil && index >= 0 && index < len(r.dates) && r.dates[index] {
		if date := dateOf(number, from1904); date != "" {
			return date
		}
	}
	if len(value) > 15 {
		return strconv.FormatFloat(number, 'g', 15, 64)
	}
	return value
}

// dateOf is the date or the time of a number of days, "" if it is none. Excel
// believes that 1900 was a leap year.
func dateOf(days float64, from1904 bool) string {
	const last = 2_958_466 // the year 10000
	if days < 0 || days >= last || math.IsNaN(days) {
		return ""
	}
	start := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case from1904:
		start = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days >= 1 && days < 60:
		start = start.AddDate(0, 0, 1)
	}
	whole, part := math.Modf(days)
	at := start.AddDate(0, 0, int(whole)).Add((time.Duration(math.Round(part*86_400)) * time.Second))
	switch {
	case whole == 0 && !from1904:
		return at.Format(time.TimeOnly)
	case at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0:
		return at.Format(time.DateOnly)
	default:
		return at.Format(time.DateTime)
	}
}
