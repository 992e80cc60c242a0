use super::*;

#[test]
fn sizes() {
    println!("{} {}", size_of::<Limiter>(), size_of::<Reservation>());
    assert!(size_of::<Limiter>() <= 128);
}
