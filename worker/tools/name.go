package tools

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// find returns the tool that a model means by name, or nil. Models use the names
// of the tools that they were trained with.
func (s *Set) find(name string) *entry {
	if entry := s.tools[name]; entry != nil {
		return entry
	}
	wanted := name
	name = plainName(name)
	for known, entry := range s.tools {
		if plainName(known) == name {
			return entry
		}
	}
	if entry := s.tools[alias(name)]; entry != nil || s.more == nil {
		return entry
	}
	return s.more.find(wanted)
}

// plainName takes off what models put around a name, and how they spell it:
// functions.Read-File:0 is readfile.
func plainName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if rest := strings.TrimRight(name, "0123456789"); strings.HasSuffix(rest, ":") {
		name = strings.TrimSuffix(rest, ":") // Kimi numbers its calls
	}
	name = name[strings.LastIndexAny(name, ".:/")+1:]
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(name)
}

// alias returns the tool that does what one of another agent does, or "".
func alias(name string) string {
	switch name {
	case "bash", "shell", "sh", "exec", "execute", "executecommand", "runcommand", "runterminalcmd", "runshellcommand", "localshell":
		return "terminal"
	case "processmanage", "job", "jobs", "bashoutput":
		return "process"
	case "read", "readfiles", "viewfile", "openfile", "cat":
		return "read_file"
	case "write", "writetofile", "createfile", "savefile":
		return "write_file"
	case "edit", "editfile", "applypatch", "strreplace", "replaceinfile":
		return "patch"
	case "grep", "search", "searchfile", "searchcode", "grepsearch", "ripgrep":
		return "search_files"
	case "searchweb", "internetsearch", "google", "googlesearch", "bravesearch":
		return "web_search"
	case "webfetch", "fetch", "fetchurl", "readurl", "openurl", "readwebpage", "browse", "visit":
		return "web_extract"
	case "remember", "savememory", "memorymanage":
		return "memory"
	case "skill", "viewskill", "readskill", "loadskill":
		return "skill_view"
	case "listskills", "skilllist":
		return "skills_list"
	case "manageskill", "skillsmanage":
		return "skill_manage"
	default:
		return ""
	}
}

// unknown tells a model that there is no such tool, and which ones there are.
func (s *Set) unknown(name string) string {
	names := slices.Sorted(maps.Keys(s.tools))
	if s.more != nil {
		for _, spec := range s.Specs() {
			if s.tools[spec.Name] == nil {
				names = append(names, spec.Name)
			}
		}
		slices.Sort(names)
	}
	if len(names) == 0 {
		return "There is no tool " + shorten(name) + ": no tool is enabled."
	}
	text := "There is no tool " + shorten(name) + ". "
	if strings.TrimSpace(name) == "" {
		text = "The call names no tool, so nothing was run. "
	}
	if nearest := nearest(plainName(name), names); nearest != "" {
		text += "Did you mean " + nearest + "? "
	}
	const most = 60
	if len(names) > most {
		return text + fmt.Sprintf("The tools are %s and %d more.", strings.Join(names[:most], ", "), len(names)-most)
	}
	return text + "The tools are " + strings.Join(names, ", ") + "."
}

// nearest returns the name that is most like the wanted one, or "" if none is
// much like it.
func nearest(wanted string, names []string) string {
	best, bestDistance := "", 0
	for _, name := range names {
		d := distance(strings.ToLower(wanted), plainName(name))
		if d <= max(2, len(name)/3) && (best == "" || d < bestDistance) {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is how many runes one has to insert, delete or change to make b of a
// (Levenshtein). Of long words it looks at the first 100 runes.
func distance(a, b string) int {
	from, to := firstRunes(a, 100), firstRunes(b, 100)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range to {
			cost := diagonal
			if x != y {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(to)]
}

func firstRunes(s string, n int) []rune {
	runes := []rune(s[:min(len(s), 4*n)])
	return runes[:min(len(runes), n)]
}
