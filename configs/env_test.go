package configs

import (
	"errors"
	"strings"
	"testing"
)

func TestParseEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line, want string
	}{
		{"bare", "A=b", "b"},
		{"empty", "A=", ""},
		{"spaces around", "  A = b c  ", "b c"},
		{"tabs", "\tA\t=\tb\t", "b"},
		{"export", "export A=b", "b"},
		{"export with tab", "export\tA=b", "b"},
		{"comment", "A=b # c", "b"},
		{"hash inside", "A=b#c", "b#c"},
		{"hash first", "A=#b", "#b"},
		{"hash first after a space", "A= #b", ""},
		{"equals inside", "A=b=c==", "b=c=="},
		{"dollar", "A=$HOME/${X}", "$HOME/${X}"},
		{"backslash", `A=C:\new`, `C:\new`},
		{"single quotes", `A='b # c \n $d'`, `b # c \n $d`},
		{"double quotes", `A="b # c"`, "b # c"},
		{"escapes", `A="a\nb\t\"\\\$x"`, "a\nb\t\"\\$x"},
		{"unknown escape", `A="C:\dir"`, `C:\dir`},
		{"quote and comment", `A="b" # c`, "b"},
		{"empty quotes", `A=""`, ""},
		{"quote inside", `A=it's`, "it's"},
		{"CRLF", "A=b\r\n", "b"},
		{"byte order mark", "\xef\xbb\xbfA=b", "b"},
		{"unicode", "A=grün", "grün"},
		{"last one counts", "A=x\nA=b", "b"},
		{"no line end", "# c\n\nA=b", "b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, err := ParseEnv([]byte(test.line))
			if err != nil || len(entries) == 0 {
				t.Fatalf("got %v, %v", entries, err)
			}
			last := entries[len(entries)-1]
			if last.Name != "A" || last.Value.Reveal() != test.want {
				t.Errorf("got %s=%q, want %q", last.Name, last.Value.Reveal(), test.want)
			}
		})
	}
}

func TestParseEnvNamesBadLines(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	tests := []struct{ name, line, want string }{
		{"no equals", secret, "NAME=value"},
		{"key: value", "A: " + secret, "NAME=value"},
		{"name begins with digit", "1A=" + secret, "NAME=value"},
		{"dash in name", "A-B=" + secret, "NAME=value"},
		{"no name", "=" + secret, "NAME=value"},
		{"open double quote", `A="` + secret, `the closing " is missing`},
		{"open single quote", `A='` + secret, `the closing ' is missing`},
		{"several lines", "A=\"" + secret + "\nmore\"", `the closing " is missing`},
		{"escaped end", `A="` + secret + `\"`, `the closing " is missing`},
		{"text after the quote", `A="x"` + secret, `text after the closing "`},
		{"NUL", "A=" + secret + "\x00", "NUL byte"},
		{"control character", "A=" + secret + "\x1b[2J", "control character"},
		{"Latin-1", "A=" + secret + "\xfc", "not UTF-8"},
		{"UTF-16", "\xff\xfeA\x00", "NUL byte"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries, err := ParseEnv([]byte("GOOD=1\n" + test.line + "\nALSO=2\n"))
			var problems *Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, %v", entries, err)
			}
			if first := problems.List[0]; first.Line != 2 || !strings.Contains(first.Text, test.want) {
				t.Errorf("got line %d %q, want line 2 %q", first.Line, first.Text, test.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the line: %v", err)
			}
			if entries[0].Name != "GOOD" || entries[len(entries)-1].Name != "ALSO" {
				t.Errorf("good lines are lost: %v", entries)
			}
		})
	}
	if _, err := ParseEnv(make([]byte, maxFile+1)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file gives %v", err)
	}
}

func TestSetEnvChangesOnlyTheValue(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, value, after string }{
		{"bare", "# top\nA=1\n\nX_KEY=old # why\nB=2\n", "new", "# top\nA=1\n\nX_KEY=new # why\nB=2\n"},
		{"double quotes stay", `X_KEY="old" # why` + "\n", "new", `X_KEY="new" # why` + "\n"},
		{"single quotes stay", "X_KEY='old'\n", "new", "X_KEY='new'\n"},
		{"single quotes give way", "X_KEY='old'\n", "it's", "X_KEY=\"it's\"\n"},
		{"export stays", "export  X_KEY = old\n", "new", "export  X_KEY = new\n"},
		{"CRLF stays", "A=1\r\nX_KEY=old\r\nB=2\r\n", "new", "A=1\r\nX_KEY=new\r\nB=2\r\n"},
		{"no line end", "A=1\nX_KEY=old", "new", "A=1\nX_KEY=new"},
		{"byte order mark", "\xef\xbb\xbfX_KEY=old\n", "new", "\xef\xbb\xbfX_KEY=new\n"},
		{"last duplicate", "X_KEY=one\nX_KEY=two\n", "new", "X_KEY=one\nX_KEY=new\n"},
		{"empty", "X_KEY=\n", "new", "X_KEY=new\n"},
		{"empty with comment", "X_KEY= # paste here\n", "new", "X_KEY= new # paste here\n"},
		{"needs quotes", "X_KEY=old\n", "a b#c", "X_KEY='a b#c'\n"},
		{"dollar and quotes", "X_KEY=old\n", `a"$b'c\`, `X_KEY="a\"\$b'c\\"` + "\n"},
		{"same value", "X_KEY = 'old'\n", "old", "X_KEY = 'old'\n"},
		{"new in empty file", "", "new", "X_KEY=new\n"},
		{"new at the end", "A=1\n", "new", "A=1\nX_KEY=new\n"},
		{"new after a last line without end", "A=1", "new", "A=1\nX_KEY=new\n"},
		{"new with CRLF", "A=1\r\n", "new", "A=1\r\nX_KEY=new\r\n"},
		{"below its example", "# X_KEY=\nA=1\n", "new", "# X_KEY=\nX_KEY=new\nA=1\n"},
		{"bad lines stay", "what is this\nX_KEY=old\n", "new", "what is this\nX_KEY=new\n"},
		{"name as part of another", "MY_X_KEY=1\nX_KEY2=2\n", "new", "MY_X_KEY=1\nX_KEY2=2\nX_KEY=new\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after, line, err := setEnv([]byte(test.before), "X_KEY", test.value)
			if err != nil || string(after) != test.after {
				t.Fatalf("got %q, %v, want %q", after, err, test.after)
			}
			if written := strings.Split(test.after, "\n")[line-1]; !strings.Contains(written, "X_KEY") {
				t.Errorf("line %d is %q", line, written)
			}
		})
	}
}

func TestUnsetEnvTakesEveryLine(t *testing.T) {
	t.Parallel()
	after, line, err := unsetEnv([]byte("# a\nX_KEY=1\nB=2\nexport X_KEY='3' # c\n# d"), "X_KEY")
	if err != nil || string(after) != "# a\nB=2\n# d" || line != 2 {
		t.Errorf("got %q, line %d, %v", after, line, err)
	}
	if _, _, err := unsetEnv([]byte("A=1\n"), "X_KEY"); !errors.Is(err, errNotSet) {
		t.Errorf("got %v", err)
	}
}

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{"A=b\n", "export A='b' # c\r\n", `A="\n\"" x`, "\xef\xbb\xbf=\x00", "A= #\nA=#", "# X_KEY=\n"} {
		f.Add([]byte(seed), "value")
	}
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		entries, err := ParseEnv(data)
		for _, entry := range entries {
			if !envLinePattern().MatchString(entry.Name+"=") || entry.Line < 1 {
				t.Errorf("strange entry %q in line %d", entry.Name, entry.Line)
			}
		}
		at := place{name: "X_KEY", env: true}
		if err != nil && strings.Contains(err.Error(), "NUL") || at.checkValue("X_KEY", value) != nil {
			return
		}
		after, line, err := setEnv(data, "X_KEY", value)
		if err != nil {
			return
		}
		again, _ := ParseEnv(after)
		got := ""
		rest := 0
		for _, entry := range again {
			if entry.Name == "X_KEY" {
				got = entry.Value.Reveal()
			} else {
				rest++
			}
		}
		others := 0
		for _, entry := range entries {
			if entry.Name != "X_KEY" {
				others++
			}
		}
		if got != value || rest != others || line < 1 {
			t.Errorf("after setting %q in %q the file is %q", value, data, after)
		}
	})
}
