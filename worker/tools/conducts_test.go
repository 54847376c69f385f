package tools

import "strings"

// conducts has a row for each tool.
func conducts() map[string]conduct {
	const (
		textOnly = "it takes and gives text that Go keeps as such"
		noPlace  = "it goes nowhere"
		atOnce   = "it ends at once"
		theWeb   = "the limits are those of worker/web, which tests them"
	)
	long := strings.Repeat("x", 1<<20+1)
	return map[string]conduct{
		"clarify": {
			good:    done(`{"question":"Which one?","choices":["a","b"]}`, "The question was put to the person."),
			missing: refused(`{"choices":["a"]}`, "the argument question is missing; it must be a string. You sent: "),
			wrong:   refused(`{"question":"Which?","choices":7}`, "the argument choices must be a list"),
			huge:    refused(`{"question":"`+long+`"}`, "The question is longer than"),
			binary:  none(textOnly), link: none(noPlace), slow: none(atOnce),
		},
		"delegate_task": {
			good:    done(`{"goal":"look","toolsets":["file"]}`, "done; 2 steps, 30 tokens, session task_1"),
			missing: refused(`{"context":"x"}`, "The task has no goal; say what is to be done."),
			wrong:   refused(`{"tasks":7}`, "the argument tasks must be a list"),
			huge:    refused(`{"goal":"`+long+`"}`, "a goal longer than"),
			binary:  none(textOnly), link: none(noPlace), slow: none("a helper is bounded by its steps, and by the turn"),
		},
		"memory": {
			good:    done(`{"target":"user","action":"add","content":"Likes tea."}`, "user: 1 added."),
			missing: refused(`{"action":"add","content":"x"}`, "the argument target is missing"),
			wrong:   refused(`{"target":"user","operations":"add x"}`, "the argument operations must be a list"),
			huge:    refused(`{"target":"user","action":"add","content":"`+long+`"}`, "all entries together may have 2000"),
			binary:  refused(`{"target":"user","action":"add","content":"a\u0000\u0001b"}`, "invisible or control characters"),
			link:    none(noPlace), slow: none(atOnce),
		},
		"patch": {
			good:    done(`{"path":"a.txt","old_string":"two","new_string":"2"}`, "Changed a.txt."),
			missing: refused(`{"path":"a.txt","new_string":"2"}`, "The argument old_string is missing"),
			wrong:   refused(`{"path":"a.txt","old_string":"one","new_string":"1","replace_all":"all"}`, "the argument replace_all must be true or false"),
			huge:    done(`{"path":"long.txt","old_string":"a line","new_string":"one line","replace_all":true}`, "Changed long.txt"),
			binary:  refused(`{"path":"data.bin","old_string":"one","new_string":"1"}`, "binary"),
			link:    refused(`{"path":"out/secret.txt","old_string":"the","new_string":"a"}`, "leads out of the workspace"),
			slow:    none("its time is bounded by the size of files, see TestReplaceIsNotSlow"),
		},
		"process": {
			good:    done(`{"action":"list"}`, "sleep 1000"),
			missing: refused(`{"session_id":"JOB"}`, "the argument action is missing"),
			wrong:   refused(`{"action":"wait","session_id":"JOB","timeout":"long"}`, "the argument timeout must be an integer"),
			huge:    done(`{"action":"log","session_id":"FLOOD","limit":1000000}`, "100000\n"),
			binary:  done(`{"action":"log","session_id":"BINARY"}`, "first"),
			link:    none(noPlace),
			slow:    done(`{"action":"wait","session_id":"JOB","timeout":1}`, "running for"),
		},
		"read_file": {
			good:    done(`{"path":"a.txt"}`, "1|one\n"),
			missing: refused(`{"file":"a.txt"}`, "the argument path is missing"),
			wrong:   refused(`{"path":"a.txt","limit":"all"}`, "the argument limit must be an integer"),
			huge:    done(`{"path":"long.txt","limit":1000000}`, "read on with offset"),
			binary:  refused(`{"path":"data.bin"}`, "binary"),
			link:    refused(`{"path":"out/secret.txt"}`, "leads out of the workspace"),
			slow:    none("a regular file is read at once; others are refused"),
		},
		"search_files": {
			good:    done(`{"pattern":"one","path":"a.txt"}`, "one"),
			missing: refused(`{"path":"a.txt"}`, "the argument pattern is missing"),
			wrong:   refused(`{"pattern":"x","limit":"all"}`, "the argument limit must be an integer"),
			huge:    done(`{"pattern":"line","limit":1000000}`, "long.txt:1:"),
			binary:  done(`{"pattern":"PNG"}`, "Nothing found."),
			link:    refused(`{"pattern":"secret","path":"out"}`, "leads out of the workspace"),
			slow:    none("it ends with its turn, see TestSearchEndsWithItsTurn"),
		},
		"session_search": {
			good:    done(`{"query":"cats"}`, "a «cat»"),
			missing: none("no argument is needed"),
			wrong:   refused(`{"session_id":"s1","around_message_id":"first"}`, "the argument around_message_id must be an integer"),
			huge:    done(`{"session_id":"s1"}`, "m1"),
			binary:  none(textOnly), link: none(noPlace), slow: none("it ends with its turn"),
		},
		"skill_manage": {
			good:    done(`{"action":"write_file","name":"tea","file_path":"references/cups.md","file_content":"Two.\n"}`, "Wrote references/cups.md"),
			missing: refused(`{"action":"delete"}`, "the argument name is missing"),
			wrong:   refused(`{"action":["delete"],"name":"tea"}`, "the argument action must be one of"),
			huge:    refused(`{"action":"write_file","name":"tea","file_path":"assets/big","file_content":"`+long+`"}`, "1 MiB"),
			binary:  refused(`{"action":"patch","name":"tea","file_path":"assets/data.bin","old_string":"PNG","new_string":"GIF"}`, "binary"),
			link:    refused(`{"action":"write_file","name":"tea","file_path":"scripts/secret.txt","file_content":"leak"}`, "Nothing was changed."),
			slow:    none(atOnce),
		},
		"skill_view": {
			good:    done(`{"name":"tea"}`, "Step one."),
			missing: refused(`{"file_path":"references/long.md"}`, "the argument name is missing"),
			wrong:   refused(`{"name":"tea","offset":"top"}`, "the argument offset must be an integer"),
			huge:    done(`{"name":"tea","file_path":"references/long.md"}`, "read on with offset"),
			binary:  refused(`{"name":"tea","file_path":"assets/data.bin"}`, "binary"),
			link:    refused(`{"name":"tea","file_path":"scripts/secret.txt"}`, "scripts/secret.txt"),
			slow:    none(atOnce),
		},
		"skills_list": {
			good:    done(`{}`, "- tea: How to do tea."),
			missing: none("no argument is needed"),
			wrong:   refused(`{"category":7}`, "There are no skills in the category 7. The categories are many."),
			huge:    done(`{"category":"many"}`, "more. Give a category to see them."),
			binary:  none("it shows what was parsed"), link: none("links are not followed, see TestSkillFilesStayInTheirDirectory"), slow: none(atOnce),
		},
		"terminal": {
			good:    done(`{"command":"echo hi"}`, "hi\n"),
			missing: refused(`{"cmd":"touch made"}`, "the argument command is missing; it must be a string. You sent: "),
			wrong:   refused(`{"command":"touch made","timeout":"soon"}`, "the argument timeout must be an integer"),
			huge:    done(`{"command":"seq 1 1000000"}`, "bytes left out"),
			binary:  done(`{"command":"printf 'a\\000\\377b'"}`, "a"),
			link:    refused(`{"command":"cat secret.txt","workdir":"out"}`, "leads out of the workspace"),
			slow:    done(`{"command":"sleep 1000","timeout":1}`, "it goes on in the background as job_"),
		},
		"todo": {
			good:    done(`{"todos":[{"id":1,"content":"plan"}]}`, "1: [pending] plan"),
			missing: refused(`{"todos":[{"content":"plan"}]}`, "id"),
			wrong:   refused(`{"todos":7}`, "the argument todos must be a list"),
			huge:    refused(`{"todos":[{"id":1,"content":"`+long+`"}]}`, "longer than 4000 characters"),
			binary:  none(textOnly), link: none(noPlace), slow: none(atOnce),
		},
		"web_extract": {
			good:    done(`{"urls":["SITE/page"]}`, "# A page\n\nWords."),
			missing: refused(`{"url":"SITE/page"}`, "the argument urls is missing; it must be a list"),
			wrong:   refused(`{"urls":{"a":"SITE/page"}}`, "the argument urls must be a list"),
			huge:    done(`{"urls":["SITE/long"],"char_limit":1000000000}`, "Words, and more of them."),
			binary:  refused(`{"urls":["SITE/picture"]}`, "it is no text, but image/png"),
			link:    refused(`{"urls":["SITE/out"]}`, "not public"),
			slow:    none(theWeb),
		},
		"web_search": {
			good:    done(`{"query":"ships"}`, "They float."),
			missing: refused(`{"q":"ships"}`, "the argument query is missing"),
			wrong:   refused(`{"query":"ships","limit":"all"}`, "the argument limit must be an integer"),
			huge:    done(`{"query":"many","limit":1000000}`, "20. T"),
			binary:  refused(`{"query":"picture"}`, "its answer was not understood"),
			link:    none("the services are the settings' choice, and redirects of theirs are not followed"),
			slow:    none(theWeb),
		},
		"write_file": {
			good:    done(`{"path":"new/b.txt","content":"hi\n"}`, "Created new/b.txt"),
			missing: refused(`{"path":"made"}`, "the argument content is missing; it must be a string"),
			wrong:   done(`{"path":"c.json","content":{"a":[1]}}`, "Created c.json: 9 bytes"),
			huge:    done(`{"path":"huge.txt","content":"`+long+`"}`, "Created huge.txt: 1048577 bytes"),
			binary:  done(`{"path":"other.bin","content":"text"}`, "Overwrote other.bin: 4 bytes"),
			link:    refused(`{"path":"out/secret.txt","content":"leak"}`, "leads out of the workspace"),
			slow:    none(atOnce),
		},
	}
}
