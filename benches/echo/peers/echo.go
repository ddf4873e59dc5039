// Echo on goroutines, on as many processors as the argument says, or on one: prints where it
// listens, and serves until it is killed.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
)

const bufferBytes = 16 * 1024

func main() {
	processors := 1
	if len(os.Args) > 1 {
		processors, _ = strconv.Atoi(os.Args[1])
	}
	runtime.GOMAXPROCS(processors)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, bufferBytes)
	for {
		count, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:count]); err != nil {
			return
		}
	}
}
