package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

func line(check, result, detail string) {
	fmt.Printf("%s\t%s\t%s\n", check, result, strings.Join(strings.Fields(detail), " "))
}

func check(name string, good bool) {
	if good {
		line(name, "ok", "")
	} else {
		line(name, "FAIL", "")
	}
}

func report(words string) {
	check("error", strings.Contains(words, "unknown use case"))
	shown := "no"
	if strings.Contains(regexp.MustCompile(`\D`).ReplaceAllString(words, ""), "87654321") {
		shown = "yes"
	}
	line("number shown", shown, words)
}

func said(words string) string {
	if strings.Contains(regexp.MustCompile(`\D`).ReplaceAllString(words, ""), "87654321") {
		return "shows"
	}
	return "does not show"
}

// Another column is wrong: does what a logger prints show the number?
func typo(err error) {
	line("typo", said(fmt.Sprintf("%v %+v %#v", err, err, err)), "")
	line("typo hidden", said(err.Error()), "–")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// what comes of a library's call that would insert or update
func upsert(call string, err error) {
	if err != nil {
		line("upsert", err.Error(), call)
	} else {
		line("upsert", "ok", call)
	}
}
