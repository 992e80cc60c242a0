//! The standard's own vector, through the crate that hashes here.

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};

/// RFC 9106 section 5.3.
#[test]
fn argon2id_gives_the_tag_of_the_standard() {
    let mut params = ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
    let params = params.build().unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    let digits = |at: usize| u8::from_str_radix(&expected[at..at + 2], 16).unwrap();
    assert_eq!(tag, std::array::from_fn(|at| digits(2 * at)));
}
