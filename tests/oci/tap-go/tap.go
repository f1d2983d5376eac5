// SPDX-License-Identifier: GPL-2.0-or-later

// Package tap writes the Test Anything Protocol. It stands in for the package of that name that the
// validation suite was written with and that Debian does not have: the calls that the suite makes,
// and no others. Diagnostics are comments, so that any reader of TAP can read the result.
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// T is the state of one list of tests.
type T struct {
	Writer io.Writer // nil: standard output
	next   int
	todo   bool // the next test is expected to fail
}

// New begins a list of tests.
func New() *T {
	return &T{}
}

func (t *T) out(format string, args ...interface{}) {
	w := t.Writer
	if w == nil {
		w = os.Stdout
	}
	fmt.Fprintf(w, format+"\n", args...)
}

// Header writes the version, and the plan when the number of tests is known.
func (t *T) Header(count int) {
	t.out("TAP version 13")
	if count > 0 {
		t.out("1..%d", count)
	}
}

// AutoPlan writes the plan after the tests.
func (t *T) AutoPlan() {
	t.out("1..%d", t.next)
}

// Count is how many tests there have been.
func (t *T) Count() int {
	return t.next
}

// Ok writes the result of one test.
func (t *T) Ok(good bool, description string) {
	result := "ok"
	if !good {
		result = "not ok"
	}
	directive := ""
	if t.todo {
		directive = " # TODO"
	}
	t.todo = false
	t.next++
	t.out("%s %d - %s%s", result, t.next, strings.ReplaceAll(description, "\n", " "), directive)
}

// Todo says that the next test is about what is not done yet.
func (t *T) Todo() *T {
	t.todo = true
	return t
}

// Pass is a test that passed.
func (t *T) Pass(description string) {
	t.Ok(true, description)
}

// Fail is a test that failed.
func (t *T) Fail(description string) {
	t.Ok(false, description)
}

// Skip is count tests that do not apply.
func (t *T) Skip(count int, description string) {
	for i := 0; i < count; i++ {
		t.next++
		t.out("ok %d # SKIP %s", t.next, description)
	}
}

// Diagnostic writes a comment, of any number of lines.
func (t *T) Diagnostic(message string) {
	t.out("# %s", strings.ReplaceAll(strings.TrimRight(message, "\n"), "\n", "\n# "))
}

// Diagnosticf is Diagnostic with a format.
func (t *T) Diagnosticf(format string, args ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, args...))
}

// YAML writes a value as a comment; JSON is YAML.
func (t *T) YAML(value interface{}) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		t.Diagnostic(string(text))
	}
	return err
}
