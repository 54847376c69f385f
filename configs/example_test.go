package configs_test

import (
	"fmt"
	"os"
	"path/filepath"

	"hermes/configs"
)

func ExampleSet() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, configs.YAMLFile)
	_ = os.WriteFile(file, []byte("model:\n  default: gpt-5-mini   # cheap\n"), 0o600)

	change, err := configs.Set(configs.Target{Profile: "alice", Dir: dir}, "model.default", "qwen3:14b")
	fmt.Println(filepath.Base(change.File), change.Key, change.Line, err)
	data, _ := os.ReadFile(file)
	fmt.Print(string(data))

	_, err = configs.Set(configs.Target{Profile: "alice", Dir: dir}, "model.defualt", "x")
	fmt.Println(err)
	// Output:
	// config.yaml model.default 2 <nil>
	// model:
	//   default: "qwen3:14b"   # cheap
	// model.defualt: there is no such setting; did you mean model.default?
}
