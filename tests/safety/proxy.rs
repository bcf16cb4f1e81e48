//! What stands between a run and its sandbox, and answers as it likes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request, and the sandbox that could answer it.
pub struct Request {
    /// The request line and the headers, to the blank line.
    pub head: String,
    pub body: Vec<u8>,
    sandbox: Arc<str>,
}

impl Request {
    /// The sandbox's own answer, as it comes over the wire.
    pub fn forward(&self) -> Vec<u8> {
        let mut inner = TcpStream::connect(&*self.sandbox).unwrap();
        let head = self.head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        inner.write_all(head.as_bytes()).unwrap();
        inner.write_all(&self.body).unwrap();
        let mut answer = Vec::new();
        let _ = inner.read_to_end(&mut answer);
        answer
    }
}

/// Serves until the tests end; returns its URL. An answer ends its connection.
pub fn before(sandbox: &str, answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sandbox: Arc<str> = sandbox.trim_start_matches("http://").into();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sandbox, answer) = (stream.unwrap(), sandbox.clone(), answer.clone());
            std::thread::spawn(move || {
                let Some((head, body)) = request(&mut stream) else { return };
                let _ = stream.write_all(&answer(&Request { head, body, sandbox }));
            });
        }
    });
    url
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.trim().parse().unwrap());
            if bytes.len() >= end + length {
                return Some((head, bytes[end..].to_vec()));
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}
