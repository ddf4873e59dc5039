// Written by `.ci/api --write`: what is stable in std, of traits.

fn traits() -> Vec<crate::Answers> {
    vec![
        answers!(net::Incoming<'static>),
        answers!(net::TcpListener),
        answers!(net::TcpStream),
        answers!(thread::Builder),
        answers!(thread::JoinHandle<u8>),
        answers!(thread::JoinHandle<Rc<u8>>),
        answers!(thread::JoinHandle<Cell<u8>>),
        answers!(thread::JoinHandle<Guard>),
        answers!(thread::Scope<'static, 'static>),
        answers!(thread::ScopedJoinHandle<'static, u8>),
        answers!(thread::ScopedJoinHandle<'static, Rc<u8>>),
        answers!(thread::ScopedJoinHandle<'static, Cell<u8>>),
        answers!(thread::ScopedJoinHandle<'static, Guard>),
        answers!(thread::Thread),
        answers!(thread::ThreadId),
    ]
}
