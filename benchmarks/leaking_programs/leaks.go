// One program for each way Go leaks, and healthy ones; about 0.3 MiB a second.
package main

import (
	"fmt"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"time"
)

var history [][]byte
var cache = map[int][]byte{}

//go:noinline
func recordOrder() { history = append(history, make([]byte, 64<<10)) }

//go:noinline
func waitForever(answer chan int) { <-answer }

//go:noinline
func handleRequest() { go waitForever(make(chan int)) }

//go:noinline
func readPrice() { b := make([]byte, 64<<10); b[0] = 1; runtime.KeepAlive(b) }

//go:noinline
func remember(i int) { cache[i%50] = make([]byte, 64<<10) }

func main() {
	runtime.MemProfileRate = 64 << 10
	go http.ListenAndServe("0.0.0.0:6060", nil)
	fmt.Println("ready")
	for i := 0; ; i++ {
		switch os.Args[1] {
		case "slice":
			recordOrder()
		case "goroutine":
			for n := 0; n < 20; n++ {
				handleRequest()
			}
		case "garbage":
			readPrice()
		case "bounded":
			remember(i)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
