// The server, in plain blocking code. `main.rs` includes this file twice: once with the
// names of std in scope, and once with those of corovent.

/// Gives every connection a thread of its own that sends back what comes in.
pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        Builder::new().stack_size(STACK_BYTES).spawn(move || echo(stream))?;
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}
