package pdf

import (
	"io"
	"math"
	"strings"

	library "github.com/ledongthuc/pdf"
)

const (
	// maxForms is how deep pieces of content may hold each other; callForm is what
	// each counts of maxContent, since many small ones take long too.
	maxForms = 8
	callForm = 16 << 10
	// maxStates is how many states a page may put aside; the format asks for 28.
	maxStates = 256
)

// matrix maps points: x' = ax + cy + e, y' = bx + dy + f.
type matrix struct{ a, b, c, d, e, f float64 }

// times is m first, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{
		m.a*n.a + m.b*n.c, m.a*n.b + m.b*n.d,
		m.c*n.a + m.d*n.c, m.c*n.b + m.d*n.d,
		m.e*n.a + m.f*n.c + n.e, m.e*n.b + m.f*n.d + n.f,
	}
}

func move(x, y float64) matrix { return matrix{a: 1, d: 1, e: x, f: y} }

// state is what a page can put aside and take back.
type state struct {
	ctm                                   matrix
	font                                  *font
	size, charSpace, wordSpace, scale, up float64 // up is the leading
}

// content runs a content stream, of which it knows what moves and shows text.
type content struct {
	state
	doc       *document
	resources library.Value
	fonts     map[string]*font // by their names in resources
	depth     int
	stack     []state
	tm, line  matrix
}

// run runs a stream. Names in it stand for what resources has.
func (d *document) run(stream io.Reader, resources library.Value, ctm matrix, depth int) error {
	c := &content{
		doc: d, resources: resources, fonts: map[string]*font{}, depth: depth,
		state: state{ctm: ctm, font: d.plain, scale: 1}, tm: move(0, 0), line: move(0, 0),
	}
	lex := newLexer(stream)
	for {
		op, args, err := lex.next()
		if err != nil {
			return ended(err)
		}
		if err := c.do(op, args); err != nil {
			return err
		}
	}
}

// do runs one operator. Missing operands count as 0, as elsewhere.
func (c *content) do(op string, args []operand) error {
	switch op {
	case "q":
		if len(c.stack) < maxStates {
			c.stack = append(c.stack, c.state)
		}
	case "Q":
		if n := len(c.stack); n > 0 {
			c.state, c.stack = c.stack[n-1], c.stack[:n-1]
		}
	case "cm":
		c.ctm = matrixOf(args).times(c.ctm)
	case "Do":
		return c.form(last(args, 1)[0].text)
	case "BT":
		c.tm, c.line = move(0, 0), move(0, 0)
	case "Tf":
		args = last(args, 2)
		c.setFont(args[0].text, args[1].num)
	case "Tc":
		c.charSpace = last(args, 1)[0].num
	case "Tw":
		c.wordSpace = last(args, 1)[0].num
	case "Tz":
		c.scale = last(args, 1)[0].num / 100
	case "TL":
		c.up = last(args, 1)[0].num
	case "Td", "TD":
		args = last(args, 2)
		if op == "TD" {
			c.up = -args[1].num
		}
		c.nextLine(args[0].num, args[1].num)
	case "Tm":
		c.line = matrixOf(args)
		c.tm = c.line
	case "T*":
		c.nextLine(0, -c.up)
	case "'", `"`:
		if op == `"` {
			spaces := last(args, 3)
			c.wordSpace, c.charSpace = spaces[0].num, spaces[1].num
		}
		c.nextLine(0, -c.up)
		return c.show(last(args, 1))
	case "Tj":
		return c.show(last(args, 1))
	case "TJ":
		return c.show(args)
	}
	return nil
}

func (c *content) setFont(name string, size float64) {
	f, known := c.fonts[name]
	if !known {
		f = c.doc.font(c.resources.Key("Font").Key(name))
		c.fonts[name] = f
	}
	c.font, c.size = f, size
}

func (c *content) nextLine(x, y float64) {
	c.line = move(x, y).times(c.line)
	c.tm = c.line
}

// show shows strings. Numbers between them move back, in thousandths.
func (c *content) show(args []operand) error {
	for _, arg := range args {
		switch arg.kind {
		case kindNumber:
			c.tm = move(-arg.num/1000*c.size*c.scale, 0).times(c.tm)
		case kindText:
			codes, step := arg.text, len(arg.text)
			if c.charSpace > wordGap*math.Abs(c.size) {
				step = c.font.size // Ghostscript makes words this way
			}
			for len(codes) > 0 {
				n := min(step, len(codes))
				if err := c.showString(codes[:n]); err != nil {
					return err
				}
				codes = codes[n:]
			}
		}
	}
	return nil
}

func (c *content) showString(codes string) error {
	before := c.tm.times(c.ctm)
	var shown strings.Builder
	advance := 0.0
	for n := c.font.size; len(codes) >= n; codes = codes[n:] {
		code := codeOf(codes[:n])
		text, width := c.font.glyph(code)
		shown.WriteString(text)
		advance += width*c.size + c.charSpace
		if n == 1 && code == ' ' {
			advance += c.wordSpace
		}
	}
	// The space behind the last character is a gap, not a part of it.
	after := move((advance-c.charSpace)*c.scale, 0).times(before)
	c.tm = move(advance*c.scale, 0).times(c.tm)
	along := math.Hypot(before.a, before.b)
	return c.doc.layout.place(piece{
		text:  shown.String(),
		from:  point{before.e, before.f},
		to:    point{after.e, after.f},
		along: point{before.a / along, before.b / along},
		size:  math.Abs(c.size) * math.Hypot(before.c, before.d),
	})
}

// form runs content that has a name.
func (c *content) form(name string) error {
	form := c.resources.Key("XObject").Key(name)
	key := form.String() // with its place in the file
	if c.depth >= maxForms || form.Key("Subtype").Name() != "Form" || c.doc.silent[key] {
		return nil
	}
	c.doc.left -= callForm
	resources := form.Key("Resources")
	if resources.IsNull() {
		resources = c.resources
	}
	before := len(c.doc.layout.out)
	err := c.doc.run(c.doc.content(form), resources, matrixIn(form.Key("Matrix")).times(c.ctm), c.depth+1)
	if err == nil && len(c.doc.layout.out) == before {
		c.doc.silent[key] = true
	}
	return err
}

// last returns the last n operands, with empty ones before them if there are
// fewer.
func last(args []operand, n int) []operand {
	if len(args) < n {
		args = append(make([]operand, n-len(args)), args...)
	}
	return args[len(args)-n:]
}

func matrixOf(args []operand) matrix {
	args = last(args, 6)
	return matrix{args[0].num, args[1].num, args[2].num, args[3].num, args[4].num, args[5].num}
}

// matrixIn is a matrix in the document, by default the one that changes nothing.
func matrixIn(list library.Value) matrix {
	if list.Len() != 6 {
		return move(0, 0)
	}
	at := func(i int) float64 { return list.Index(i).Float64() }
	return matrix{at(0), at(1), at(2), at(3), at(4), at(5)}
}
