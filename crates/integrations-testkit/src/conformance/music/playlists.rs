//! Playlists: what is in them, and every way to change that.

use integrations_core::ErrorKind;
use integrations_core::music::{Music, NewPlaylist, Playlist, PlaylistEdit, Snapshot, TrackId};

use super::catalogue::{ids, unique};
use crate::conformance::{Failure, Lab, hold};

type Run = Result<(), Failure>;
type MusicLab = Lab<Music>;

/// What the known playlist holds at least.
const LEAST: usize = 3;

/// The ids in a playlist, in its order; what has no track counts as an empty id.
async fn content(lab: &MusicLab, id: &str) -> Result<Vec<TrackId>, Failure> {
    let entries = lab.client().playlists()?.entries(id, None).collect_up_to(2_000);
    let entries = lab.step("entries", entries).await?;
    Ok(entries
        .into_iter()
        .map(|entry| entry.track.map_or_else(|| TrackId::from(""), |track| track.id))
        .collect())
}

/// The known playlist and what is in it.
async fn known(lab: &MusicLab) -> Result<(String, Vec<TrackId>), Failure> {
    let id = lab.known("playlist")?;
    let tracks = content(lab, &id).await?;
    hold(tracks.len() >= LEAST, format!("the known playlist has {} entries, not {LEAST}", tracks.len()))?;
    Ok((id, tracks))
}

/// The playlist holds what it should after a write.
async fn holds(lab: &MusicLab, id: &str, expected: &[TrackId]) -> Run {
    let tracks = content(lab, id).await?;
    lab.see("entries", &tracks);
    let (got, wanted) = (shown(&tracks), shown(expected));
    hold(tracks == expected, format!("it holds {got} then, and should hold {wanted}"))
}

fn shown(tracks: &[TrackId]) -> String {
    tracks.iter().map(TrackId::as_str).collect::<Vec<_>>().join(" ")
}

fn track(lab: &MusicLab, name: &str) -> Result<TrackId, Failure> {
    lab.known(name).map(TrackId::from)
}

async fn all(lab: &MusicLab) -> Result<Vec<Playlist>, Failure> {
    let list = lab.client().playlists()?.list().collect_up_to(2_000);
    Ok(lab.step("playlists", list).await?)
}

pub(super) async fn list(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    let playlists = lab.client().playlists()?;
    let all = lab.all("playlists", 1, || playlists.list()).await?;
    unique("playlists", &all)?;
    lab.see("playlists", &ids(&all));
    let listed = all.iter().find(|playlist| playlist.id.as_str() == id);
    let listed = listed.ok_or_else(|| Failure::Wrong("the known playlist is not in the list".to_owned()))?;
    let one = lab.step("playlist", playlists.get(id)).await?;
    hold(one.name == listed.name, format!("it is `{}` in the list and `{}` by itself", listed.name, one.name))
}

pub(super) async fn entries(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    let playlists = lab.client().playlists()?;
    let entries = lab.all("entries", 2, || playlists.entries(id.as_str(), None)).await?;
    let playlist = lab.step("playlist", playlists.get(id.as_str())).await?;
    lab.see("entries", &entries);
    let count = entries.len() as u64;
    hold(count >= LEAST as u64, format!("the known playlist has {count} entries, not {LEAST}"))?;
    let total = playlist.total.unwrap_or(count);
    hold(total == count, format!("it says that it has {total} entries, and has {count}"))
}

pub(super) async fn create(lab: &MusicLab) -> Run {
    let new = NewPlaylist::new("A first try").description("made by a test").public(false);
    let playlists = lab.client().playlists()?;
    let made = lab.step("create", playlists.create(&new)).await?;
    hold(made.name == new.name, format!("it is called `{}`, not `{}`", made.name, new.name))?;
    let one = lab.step("playlist", playlists.get(made.id.clone())).await?;
    lab.see("made", &(&one.name, &one.description, one.public));
    hold(one.name == new.name, format!("it is called `{}` then, not `{}`", one.name, new.name))?;
    let named = all(lab).await?.iter().filter(|playlist| playlist.name == new.name).count();
    hold(named == 1, format!("{named} playlists of its name are in the list, not one"))?;
    holds(lab, made.id.as_str(), &[]).await
}

pub(super) async fn create_nameless(lab: &MusicLab) -> Run {
    let playlists = lab.client().playlists()?;
    for name in ["", "  "] {
        let call = async { playlists.create(&NewPlaylist::new(name)).await };
        lab.refused("create without a name", ErrorKind::InvalidRequest, call).await?;
    }
    Ok(())
}

pub(super) async fn edit(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    let playlists = lab.client().playlists()?;
    let edit = PlaylistEdit { name: Some("Another name".to_owned()), ..PlaylistEdit::default() };
    lab.step("edit", playlists.edit(id.as_str(), &edit)).await?;
    let after = lab.step("playlist", playlists.get(id)).await?;
    lab.see("name", &after.name);
    hold(Some(&after.name) == edit.name.as_ref(), format!("it is called `{}` after the change", after.name))
}

pub(super) async fn delete(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    lab.step("delete", lab.client().playlists()?.delete(id.as_str())).await?;
    let left = all(lab).await?;
    lab.see("left", &ids(&left));
    hold(!ids(&left).contains(&id.as_str()), "it is still in the list")
}

pub(super) async fn add(lab: &MusicLab) -> Run {
    let (id, mut expected) = known(lab).await?;
    let new = [track(lab, "track_4")?, track(lab, "track_5")?];
    lab.step("add", lab.client().playlists()?.add(id.as_str(), &new)).await?;
    expected.extend(new);
    holds(lab, &id, &expected).await
}

pub(super) async fn add_bounds(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    let playlists = lab.client().playlists()?;
    lab.refused("add nothing", ErrorKind::InvalidRequest, playlists.add(id.as_str(), &[])).await?;
    let many = vec![track(lab, "track")?; playlists.most_per_write() + 1];
    lab.refused("add too many", ErrorKind::InvalidRequest, playlists.add(id.as_str(), &many)).await
}

pub(super) async fn insert(lab: &MusicLab) -> Run {
    let (id, mut expected) = known(lab).await?;
    let playlists = lab.client().playlists()?;
    let first = [track(lab, "track_4")?];
    lab.step("insert at the beginning", playlists.insert(id.as_str(), &first, 0)).await?;
    expected.splice(0..0, first);
    let third = [track(lab, "track_5")?, track(lab, "track_3")?];
    lab.step("insert in the middle", playlists.insert(id.as_str(), &third, 2)).await?;
    expected.splice(2..2, third);
    holds(lab, &id, &expected).await
}

pub(super) async fn remove(lab: &MusicLab) -> Run {
    let (id, mut expected) = known(lab).await?;
    let gone = expected[1].clone();
    let call = lab.client().playlists()?;
    lab.step("remove", call.remove(id.as_str(), std::slice::from_ref(&gone), None)).await?;
    expected.retain(|track| *track != gone);
    holds(lab, &id, &expected).await
}

pub(super) async fn remove_all(lab: &MusicLab) -> Run {
    let (id, mut expected) = known(lab).await?;
    let playlists = lab.client().playlists()?;
    let gone = track(lab, "track_5")?;
    let new = [gone.clone(), track(lab, "track_4")?, gone.clone()];
    lab.step("add one twice", playlists.add(id.as_str(), &new)).await?;
    lab.step("remove", playlists.remove(id.as_str(), std::slice::from_ref(&gone), None)).await?;
    expected.extend(new);
    expected.retain(|track| *track != gone);
    holds(lab, &id, &expected).await
}

/// What a move makes of an order: all positions count from 0 in the order before it.
fn moved(tracks: &[TrackId], from: usize, length: usize, before: usize) -> Vec<TrackId> {
    let range = from..from + length;
    let place = |at: usize| tracks.iter().enumerate().skip(at);
    let outside = |(at, track): (usize, &TrackId)| (!range.contains(&at)).then(|| track.clone());
    let mut order: Vec<TrackId> = place(0).take(before).filter_map(outside).collect();
    order.extend_from_slice(&tracks[range.clone()]);
    order.extend(place(before).filter_map(outside));
    order
}

async fn moves(lab: &MusicLab, moves: &[(usize, usize, usize)]) -> Run {
    let (id, mut expected) = known(lab).await?;
    let playlists = lab.client().playlists()?;
    for &(from, length, before) in moves {
        let call = playlists.reorder(id.as_str(), from as u32, length as u32, before as u32, None);
        lab.step("reorder", call).await?;
        expected = moved(&expected, from, length, before);
        holds(lab, &id, &expected).await?;
    }
    Ok(())
}

pub(super) async fn reorder(lab: &MusicLab) -> Run {
    let (id, tracks) = known(lab).await?;
    let last = tracks.len() - 1;
    let call = lab.client().playlists()?;
    let nothing = call.reorder(id, 0, 0, 1, None);
    lab.refused("move nothing", ErrorKind::InvalidRequest, nothing).await?;
    moves(lab, &[(0, 1, last + 1), (last, 1, 0), (0, 1, 2)]).await
}

pub(super) async fn reorder_range(lab: &MusicLab) -> Run {
    moves(lab, &[(0, 2, 3), (1, 2, 0)]).await
}

pub(super) async fn replace(lab: &MusicLab) -> Run {
    let (id, _) = known(lab).await?;
    let new = [track(lab, "track_3")?, track(lab, "track_2")?, track(lab, "track_3")?];
    let playlists = lab.client().playlists()?;
    lab.step("replace", playlists.replace(id.as_str(), &new)).await?;
    holds(lab, &id, &new).await?;
    let many = vec![new[0].clone(); playlists.most_per_write() + 1];
    lab.refused("replace by too many", ErrorKind::InvalidRequest, playlists.replace(id, &many)).await
}

pub(super) async fn clear(lab: &MusicLab) -> Run {
    let (id, _) = known(lab).await?;
    lab.step("replace by nothing", lab.client().playlists()?.replace(id.as_str(), &[])).await?;
    holds(lab, &id, &[]).await
}

/// The version that the known playlist has now.
async fn version(lab: &MusicLab, id: &str) -> Result<Snapshot, Failure> {
    let playlist = lab.step("playlist", lab.client().playlists()?.get(id)).await?;
    playlist.snapshot.ok_or_else(|| Failure::Wrong("a playlist has no version".to_owned()))
}

pub(super) async fn snapshot(lab: &MusicLab) -> Run {
    let id = lab.known("playlist")?;
    let before = version(lab, &id).await?;
    let again = version(lab, &id).await?;
    hold(before == again, "the version changes without a write")?;
    let new = [track(lab, "track_4")?];
    let told = lab.step("add", lab.client().playlists()?.add(id.as_str(), &new)).await?;
    let told = told.ok_or_else(|| Failure::Wrong("a write tells no version".to_owned()))?;
    let after = version(lab, &id).await?;
    hold(after != before, "a write does not change the version")?;
    hold(after == told, "a write tells another version than the playlist has then")
}

/// A write that names an old version is judged against that: refused, or done as it was meant then.
pub(super) async fn snapshot_stale(lab: &MusicLab) -> Run {
    let (id, tracks) = known(lab).await?;
    let old = version(lab, &id).await?;
    let playlists = lab.client().playlists()?;
    lab.step("reorder", playlists.reorder(id.as_str(), 0, 1, 2, Some(&old))).await?;
    let after = moved(&tracks, 0, 1, 2);
    holds(lab, &id, &after).await?;
    let stale = playlists.reorder(id.as_str(), 0, 1, 2, Some(&old));
    let refusals = [ErrorKind::Conflict, ErrorKind::Precondition, ErrorKind::InvalidRequest];
    match lab.step("reorder an old version", stale).await {
        Ok(_) => Ok(()),
        Err(e) if refusals.contains(&e.kind()) => holds(lab, &id, &after).await,
        Err(e) => Err(Failure::Call(e)),
    }
}

pub(super) async fn life(lab: &MusicLab) -> Run {
    let playlists = lab.client().playlists()?;
    let made = lab.step("create", playlists.create(&NewPlaylist::new("A short life"))).await?;
    let tracks = [track(lab, "track")?, track(lab, "track_2")?];
    lab.step("add", playlists.add(made.id.clone(), &tracks)).await?;
    holds(lab, made.id.as_str(), &tracks).await?;
    lab.step("delete", playlists.delete(made.id.clone())).await?;
    let left = all(lab).await?;
    lab.see("left", &ids(&left));
    hold(!left.iter().any(|playlist| playlist.id == made.id), "it is still in the list")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the interface's documentation, and a move that changes nothing.
    #[test]
    fn positions_count_in_the_order_before_the_move() {
        let order = |text: &str| text.chars().map(|c| TrackId::from(c.to_string())).collect::<Vec<_>>();
        for (from, length, before, expected) in
            [(0, 1, 4, "bcda"), (3, 1, 0, "dabc"), (0, 2, 3, "cabd"), (1, 2, 0, "bcad"), (1, 1, 2, "abcd")]
        {
            assert_eq!(
                moved(&order("abcd"), from, length, before),
                order(expected),
                "{from} {length} {before}"
            );
        }
    }
}
