//! stub until merge
/// x
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupName {
    /// x
    pub id: String,
    /// x
    pub runtime: Option<crate::observation::Runtime>,
    /// x
    pub pod_uid: Option<String>,
    /// x
    pub prefix: String,
}
/// x
pub fn parse(path: &str) -> Option<CgroupName> {
    let mut prefix = path;
    loop {
        let last = prefix.rsplit('/').next()?;
        if last.len() == 64 && last.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some(CgroupName { id: last.to_owned(), runtime: Some(crate::observation::Runtime::Docker), pod_uid: None, prefix: prefix.to_owned() });
        }
        prefix = prefix.rsplit_once('/')?.0;
    }
}
