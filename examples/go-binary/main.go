// Greets, and says from which machine.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	machine, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(answer, "hello from", machine)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
