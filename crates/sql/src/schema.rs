//! The columns of the table `cloudtrail`: those of CloudTrail Lake, with lower-case names.
//!
//! A text is the value at its path, as the index has it: numbers and truth values as text, of a list the
//! first value. A map has what is nested in it as JSON. `eventtime` is the time that traildex gives an event,
//! which is never missing.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit,
};

use trail::columns::ColumnId;

/// What stands in a column, or in a field of a struct.
#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    /// The event's time.
    EventTime,
    /// A text.
    Text,
    /// A truth value.
    Bool,
    /// A time that a record states as a text.
    Time,
    /// Texts by keys.
    Map,
    /// Fields by name.
    Struct(&'static [Place]),
    /// A list of such structs.
    List(&'static [Place]),
    /// The whole record as JSON.
    Record,
}

/// A column, or a field of a struct.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    /// Its name in SQL.
    pub(crate) name: &'static str,
    /// Its key in the record.
    pub(crate) key: &'static str,
    /// The key that some records have in its place.
    pub(crate) other: Option<&'static str>,
    pub(crate) kind: Kind,
}

const fn place(name: &'static str, key: &'static str, kind: Kind) -> Place {
    Place { name, key, other: None, kind }
}

const fn text(name: &'static str, key: &'static str) -> Place {
    place(name, key, Kind::Text)
}

/// The columns, in Lake's order.
pub(crate) const COLUMNS: &[Place] = &[
    text("eventversion", "eventVersion"),
    place("useridentity", "userIdentity", Kind::Struct(IDENTITY)),
    place("eventtime", "eventTime", Kind::EventTime),
    text("eventsource", "eventSource"),
    text("eventname", "eventName"),
    text("awsregion", "awsRegion"),
    text("sourceipaddress", "sourceIPAddress"),
    text("useragent", "userAgent"),
    text("errorcode", "errorCode"),
    text("errormessage", "errorMessage"),
    place("requestparameters", "requestParameters", Kind::Map),
    place("responseelements", "responseElements", Kind::Map),
    place("additionaleventdata", "additionalEventData", Kind::Map),
    text("requestid", "requestID"),
    Place { name: "eventid", key: "eventID", other: Some("eventId"), kind: Kind::Text },
    place("readonly", "readOnly", Kind::Bool),
    place("resources", "resources", Kind::List(RESOURCE)),
    text("eventtype", "eventType"),
    text("apiversion", "apiVersion"),
    place("managementevent", "managementEvent", Kind::Bool),
    text("recipientaccountid", "recipientAccountId"),
    text("sharedeventid", "sharedEventID"),
    text("annotation", "annotation"),
    text("vpcendpointid", "vpcEndpointId"),
    text("vpcendpointaccountid", "vpcEndpointAccountId"),
    place("serviceeventdetails", "serviceEventDetails", Kind::Map),
    place("addendum", "addendum", Kind::Map),
    place("edgedevicedetails", "edgeDeviceDetails", Kind::Map),
    place("insightdetails", "insightDetails", Kind::Map),
    text("eventcategory", "eventCategory"),
    place("tlsdetails", "tlsDetails", Kind::Struct(TLS)),
    text("sessioncredentialfromconsole", "sessionCredentialFromConsole"),
    place("eventjson", "", Kind::Record),
    text("eventjsonchecksum", "eventJsonChecksum"),
];

const IDENTITY: &[Place] = &[
    text("type", "type"),
    text("principalid", "principalId"),
    text("arn", "arn"),
    text("accountid", "accountId"),
    text("accesskeyid", "accessKeyId"),
    text("username", "userName"),
    place("sessioncontext", "sessionContext", Kind::Struct(SESSION)),
    text("invokedby", "invokedBy"),
    text("identityprovider", "identityProvider"),
    text("credentialid", "credentialId"),
    place("onbehalfof", "onBehalfOf", Kind::Struct(ON_BEHALF)),
];

const SESSION: &[Place] = &[
    place("attributes", "attributes", Kind::Struct(ATTRIBUTES)),
    place("sessionissuer", "sessionIssuer", Kind::Struct(ISSUER)),
    place("webidfederationdata", "webIdFederationData", Kind::Struct(FEDERATION)),
    text("sourceidentity", "sourceIdentity"),
    text("ec2roledelivery", "ec2RoleDelivery"),
    text("ec2issuedinvpc", "ec2IssuedInVpc"),
    text("assumedroot", "assumedRoot"),
];

const ATTRIBUTES: &[Place] = &[
    place("creationdate", "creationDate", Kind::Time),
    text("mfaauthenticated", "mfaAuthenticated"),
];

const ISSUER: &[Place] = &[
    text("type", "type"),
    text("principalid", "principalId"),
    text("arn", "arn"),
    text("accountid", "accountId"),
    text("username", "userName"),
];

const FEDERATION: &[Place] =
    &[text("federatedprovider", "federatedProvider"), place("attributes", "attributes", Kind::Map)];

const ON_BEHALF: &[Place] =
    &[text("userid", "userId"), text("identitystorearn", "identityStoreArn")];

const RESOURCE: &[Place] = &[
    text("accountid", "accountId"),
    text("type", "type"),
    text("arn", "ARN"),
    text("arnprefix", "ARNPrefix"),
];

const TLS: &[Place] = &[
    text("tlsversion", "tlsVersion"),
    text("ciphersuite", "cipherSuite"),
    text("clientprovidedhostheader", "clientProvidedHostHeader"),
    text("keyexchange", "keyExchange"),
];

/// Times: microseconds since 1970, in UTC.
pub(crate) const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

impl Kind {
    /// Its type in Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::EventTime | Self::Time => TIME,
            Self::Text | Self::Record => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Map => map_type(),
            Self::Struct(places) => DataType::Struct(fields(places)),
            Self::List(places) => DataType::List(item(places)),
        }
    }
}

/// The items of a list.
pub(crate) fn item(places: &[Place]) -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields(places)), true))
}

/// The fields of a struct.
pub(crate) fn fields(places: &[Place]) -> Fields {
    places.iter().map(|place| Field::new(place.name, place.kind.data_type(), true)).collect()
}

/// A key and its text, of maps.
pub(crate) fn map_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

/// Texts by keys.
pub(crate) fn map_type() -> DataType {
    DataType::Map(map_entries(), false)
}

/// The entries of a map.
pub(crate) fn map_entries() -> FieldRef {
    Arc::new(Field::new("entries", DataType::Struct(map_fields()), false))
}

/// The schema of the table.
pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields(COLUMNS))));
    Arc::clone(&SCHEMA)
}

/// Where a value is in a record: a column, and the fields of structs below it, or the key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// The places from the column down.
    pub(crate) places: Vec<&'static Place>,
    /// The key of a map, where the last place is one.
    pub(crate) key: Option<String>,
}

impl Leaf {
    /// The column of this number.
    pub(crate) fn column(number: usize) -> Option<Self> {
        Some(Self { places: vec![COLUMNS.get(number)?], key: None })
    }

    /// What lies below at this name or key; None where nothing does.
    pub(crate) fn below(&self, name: &str) -> Option<Self> {
        if self.key.is_some() {
            return None;
        }
        let mut leaf = self.clone();
        match &self.last().kind {
            Kind::Struct(places) => {
                leaf.places.push(places.iter().find(|place| place.name == name)?);
            }
            Kind::Map => leaf.key = Some(name.to_owned()),
            _ => return None,
        }
        Some(leaf)
    }

    /// The lowest place.
    pub(crate) fn last(&self) -> &'static Place {
        self.places.last().copied().unwrap_or(&COLUMNS[0])
    }

    /// Its type in Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        if self.key.is_some() { DataType::Utf8 } else { self.last().kind.data_type() }
    }

    /// The path of the value in the record, as the index names it.
    pub(crate) fn path(&self) -> String {
        let keys = self.places.iter().map(|place| place.key);
        keys.chain(self.key.as_deref()).collect::<Vec<_>>().join(".")
    }

    /// The column of the index that has these values, each as a text.
    pub(crate) fn indexed(&self) -> Option<ColumnId> {
        let is_kept = self.key.is_none() && matches!(self.last().kind, Kind::Text | Kind::Bool);
        let id = ColumnId::at_path(&self.path()).filter(|_| is_kept)?;
        (!id.column().is_unique).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_columns_as_lake_has() {
        assert_eq!(COLUMNS.len(), 34);
        assert!(schema().fields().iter().all(|field| *field.name() == field.name().to_lowercase()));
    }

    #[test]
    fn leaves_have_the_paths_of_records() {
        let leaf = |names: &[&str]| {
            let number = COLUMNS.iter().position(|place| place.name == names[0]).unwrap();
            let column = Leaf::column(number).unwrap();
            names[1..].iter().try_fold(column, |leaf, name| leaf.below(name))
        };
        let issuer = leaf(&["useridentity", "sessioncontext", "sessionissuer", "arn"]).unwrap();
        assert_eq!(issuer.path(), "userIdentity.sessionContext.sessionIssuer.arn");
        assert!(issuer.indexed().is_some());
        let bucket = leaf(&["requestparameters", "bucketName"]).unwrap();
        assert_eq!(bucket.path(), "requestParameters.bucketName");
        assert!(bucket.indexed().is_none());
        assert!(leaf(&["eventid"]).unwrap().indexed().is_none());
        assert!(leaf(&["useridentity", "nothing"]).is_none());
        assert!(leaf(&["requestparameters", "a", "b"]).is_none());
    }
}
