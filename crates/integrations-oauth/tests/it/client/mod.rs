mod authorize;
mod device;
mod discovery;
mod flows;
mod replies;
mod secrets;
mod support;
