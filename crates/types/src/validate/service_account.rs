//! ServiceAccount: its role is one that there is.

use super::{Rules, bounds};
use crate::kinds::ServiceAccount;
use crate::kinds::service_account::{ROLE, VIEW};
use crate::{FieldError, FieldPath, ObjectMeta};

impl Rules for ServiceAccount {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, errors: &mut Vec<FieldError>) {
        // Another one would look as if it were given.
        if let Some(role) = self.metadata.annotations.get(ROLE).filter(|role| *role != VIEW) {
            let at = FieldPath::from("metadata.annotations").key(ROLE);
            errors.push(FieldError::not_supported(at, role.as_str(), &[VIEW]));
        }
        bounds::fits(&"secrets".into(), self.secrets.len(), bounds::KEYS, errors);
        bounds::fits(&"imagePullSecrets".into(), self.image_pull_secrets.len(), bounds::KEYS, errors);
    }
}
