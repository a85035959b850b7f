//! One connection, from both sides.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pipe::{End, pass};
use crate::proxy::Journal;
use crate::schedule::{Direction, Schedule};

/// Passes on what a client and the server say to each other, and lets go wrong what is to.
pub(crate) async fn serve(mut client: TcpStream, server: SocketAddr, schedule: &Schedule, journal: &Journal) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return reset(&client);
    };
    // Without this a small chunk would wait for the acknowledgement of the one before.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    match converse(&mut client, &mut server, schedule, journal).await {
        End::Finished => {}
        End::Broken => {
            reset(&client);
            reset(&server);
        }
        End::Truncated => {
            tokio::join!(hang_up(client), hang_up(server));
        }
    }
}

async fn converse(client: &mut TcpStream, server: &mut TcpStream, schedule: &Schedule, journal: &Journal) -> End {
    let delay = schedule.round_trip() / 2;
    let faults = |direction| schedule.on(journal.connection(), direction);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = Direction::ToServer;
    let down = Direction::ToClient;
    let upward = pass(from_client, to_server, delay, faults(up), journal, up);
    let downward = pass(from_server, to_client, delay, faults(down), journal, down);
    tokio::pin!(upward, downward);
    // One that has finished leaves the other to go on: a connection may be closed in one direction alone.
    tokio::select! {
        end = &mut upward => match end {
            End::Finished => downward.await,
            end => end,
        },
        end = &mut downward => match end {
            End::Finished => upward.await,
            end => end,
        },
    }
}

/// Makes the end of a socket, which comes with its drop, a reset.
fn reset(socket: &TcpStream) {
    // It can only fail on a socket that is gone.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Ends a socket in good order: what it still sends is read, or the kernel would make a reset of it.
async fn hang_up(mut socket: TcpStream) {
    if socket.shutdown().await.is_ok() {
        let mut unread = vec![0; 64 * 1024];
        while socket.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {}
    }
}
