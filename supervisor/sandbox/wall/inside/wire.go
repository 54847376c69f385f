package inside

import (
	"errors"
	"io"
	"strconv"
)

// message is what processes say to each other. It is a list of fields, the same for
// whoever puts them and for whoever takes them: both are the same program, so nothing
// has to say which field is which. There is no JSON here, for that needs reflect.
type message interface{ fields(w *wire) }

// wire is a message on its way. What was put has been appended to data, what was taken
// has been cut off.
type wire struct {
	data   []byte
	taking bool
	err    error
}

var errMessage = errors.New("decode message: it is none")

// bytes takes so many.
func (w *wire) bytes(n int) []byte {
	if w.err != nil || n < 0 || n > len(w.data) {
		w.err = errMessage
		return make([]byte, 4) // for a number; nobody asks for more before the error is known
	}
	taken := w.data[:n]
	w.data = w.data[n:]
	return taken
}

func (w *wire) number(n *uint32) {
	if !w.taking {
		w.data = append(w.data, byte(*n>>24), byte(*n>>16), byte(*n>>8), byte(*n)) //nolint:gosec // its parts
		return
	}
	b := w.bytes(4)
	*n = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func (w *wire) integer(n *int) {
	short := uint32(*n) //nolint:gosec // versions, lengths and process numbers
	w.number(&short)
	*n = int(int32(short)) //nolint:gosec // see above
}

func (w *wire) flag(yes *bool) {
	if !w.taking {
		w.data = append(w.data, flagByte(*yes))
		return
	}
	b := w.bytes(1)[0]
	if *yes = b == 1; b > 1 {
		w.err = errMessage
	}
}

func flagByte(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}

func (w *wire) text(s *string) {
	n := len(*s)
	w.integer(&n)
	if !w.taking {
		w.data = append(w.data, *s...)
	} else if taken := w.bytes(n); w.err == nil {
		*s = string(taken)
	}
}

// list is a field of several values, of which each is at least one byte.
func list[T any](w *wire, values *[]T, each func(*wire, *T)) {
	n := len(*values)
	w.integer(&n)
	if w.taking {
		if n < 0 || n > len(w.data) {
			w.err = errMessage
		}
		*values = nil
		for i := 0; i < n && w.err == nil; i++ {
			var value T
			each(w, &value)
			*values = append(*values, value)
		}
		return
	}
	for i := range *values {
		each(w, &(*values)[i])
	}
}

// given is a field that may be left out.
func given[T any](w *wire, value **T, fields func(*T, *wire)) {
	there := *value != nil
	w.flag(&there)
	if w.taking && there && w.err == nil {
		*value = new(T)
	}
	if there && w.err == nil {
		fields(*value, w)
	}
}

// encode is a message as bytes, of which there may be so many.
func encode(m message, limit int) ([]byte, error) {
	var w wire
	m.fields(&w)
	if len(w.data) > limit {
		return nil, tooLong("message", len(w.data), limit)
	}
	return w.data, nil
}

// decode fills in a message from all of data.
func decode(data []byte, m message) error {
	w := wire{data: data, taking: true}
	m.fields(&w)
	if len(w.data) > 0 {
		return errMessage
	}
	return w.err
}

// WriteMessage writes a message with its length in front of it.
func WriteMessage(to io.Writer, m message, limit int) error {
	var head wire
	data, err := encode(m, limit)
	if err != nil {
		return err
	}
	size := len(data)
	head.integer(&size)
	_, err = to.Write(append(head.data, data...))
	return err
}

// ReadMessage reads a message. The error is io.EOF if there is none.
func ReadMessage(from io.Reader, m message, limit int) error {
	head := wire{data: make([]byte, 4), taking: true}
	if _, err := io.ReadFull(from, head.data); err != nil {
		return err
	}
	var size uint32
	if head.number(&size); int64(size) > int64(limit) {
		return tooLong("message", int(size), limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(from, data); err != nil {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	return decode(data, m)
}

func tooLong(what string, size, limit int) error {
	return errors.New("a " + what + " has " + strconv.Itoa(size) + " bytes, " + strconv.Itoa(limit) + " are the limit")
}
